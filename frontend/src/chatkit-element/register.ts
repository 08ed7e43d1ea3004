/** Puts the element in place of OpenAI's. */
import { ThreadkeepChatKit } from "./element";

export const ELEMENT_NAME = "openai-chatkit";

/** Registers the element unless somebody has registered one; says whether it is ours. */
export function registerChatKit(): boolean {
  if (customElements.get(ELEMENT_NAME) !== undefined) return customElements.get(ELEMENT_NAME) === (ThreadkeepChatKit as CustomElementConstructor);
  customElements.define(ELEMENT_NAME, ThreadkeepChatKit);
  return true;
}
