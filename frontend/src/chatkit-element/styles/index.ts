/** The element's style sheets, made once and shared by all its instances. */
import { FRAME_STYLES } from "./frame";
import { ITEM_STYLES } from "./items";
import { WIDGET_STYLES } from "./widgets";

let sheets: CSSStyleSheet[] | null = null;

export function styleSheets(): CSSStyleSheet[] {
  sheets ??= [FRAME_STYLES, ITEM_STYLES, WIDGET_STYLES].map((text) => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(text);
    return sheet;
  });
  return sheets;
}
