/** Icons: the names of ChatKit's set that are known here, drawn by Lucide. */
import {
  ArrowDown, ArrowUp, BookOpen, Bug, Calendar, ChartColumn, Check, ChevronLeft, ChevronRight, Circle, CircleAlert,
  CircleCheck, CircleHelp, Clock, Compass, Copy, Ellipsis, ExternalLink, FileText, FlaskConical, Globe, History, Image,
  Info, KeyRound, LifeBuoy, Lightbulb, ListTodo, LoaderCircle, Mail, MapPin, Monitor, NotebookPen, PartyPopper, Pencil,
  Phone, Play, Plus, RotateCw, Search, Settings2, Sparkles, Square, SquareCode, SquarePen, Star, Trash2, TriangleAlert,
  User, X, Zap, createElement, type IconNode,
} from "lucide";

const ICONS: Readonly<Record<string, IconNode>> = {
  agent: Sparkles, analytics: ChartColumn, "arrow-down": ArrowDown, "arrow-up": ArrowUp, bolt: Zap, "book-open": BookOpen,
  "book-closed": BookOpen, "book-clock": BookOpen, bug: Bug, calendar: Calendar, chart: ChartColumn, check: Check,
  "check-circle": CircleCheck, "check-circle-filled": CircleCheck, "chevron-left": ChevronLeft, "chevron-right": ChevronRight,
  "circle-question": CircleHelp, clock: Clock, close: X, compass: Compass, confetti: PartyPopper, copy: Copy, desktop: Monitor,
  document: FileText, dot: Circle, "dots-horizontal": Ellipsis, "empty-circle": Circle, "external-link": ExternalLink,
  failure: CircleAlert, globe: Globe, history: History, images: Image, info: Info, keys: KeyRound, lab: FlaskConical,
  lifesaver: LifeBuoy, lightbulb: Lightbulb, list: ListTodo, loading: LoaderCircle, mail: Mail, "map-pin": MapPin,
  maps: MapPin, mobile: Phone, notebook: NotebookPen, "notebook-pencil": NotebookPen, "page-blank": FileText, phone: Phone,
  play: Play, plus: Plus, profile: User, reload: RotateCw, search: Search, "settings-slider": Settings2, sparkle: Sparkles,
  "sparkle-double": Sparkles, "square-code": SquareCode, "square-image": Image, "square-text": FileText, star: Star,
  "star-filled": Star, stop: Square, trash: Trash2, user: User, warning: TriangleAlert, write: Pencil, "write-alt": SquarePen,
  "write-alt2": SquarePen,
};

/** An icon by its ChatKit name; `lucide:` names work for the drawings above, and others become a dot. */
export function icon(name: string, size = 18): SVGElement {
  const known = name.replace(/^(?:lucide|vendor):/, "");
  const node = (Object.hasOwn(ICONS, known) ? ICONS[known] : undefined) ?? Circle;
  return createElement(node, { width: size, height: size, "stroke-width": 2, "aria-hidden": "true" });
}
