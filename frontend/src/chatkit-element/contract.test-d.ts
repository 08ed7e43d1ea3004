/** ChatKit's contract, checked by the compiler: names and signatures are those of `@openai/chatkit`. */
import type { OpenAIChatKit } from "@openai/chatkit";
import type { ChatKitControl, useChatKit } from "@openai/chatkit-react";

import type { ThreadkeepChatKit } from "./element";

type Contract = Omit<OpenAIChatKit, keyof HTMLElement>;
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Compiles for a true statement alone. */
declare function check<T extends true>(): T;

/** The element has every member of the contract, with the same type. */
check<Same<Pick<ThreadkeepChatKit, keyof Contract>, Contract>>();

/** Those members are `setOptions` and the eight methods that the React binding calls. */
check<
  Same<
    keyof Contract,
    | "setOptions"
    | "focusComposer"
    | "setThreadId"
    | "sendUserMessage"
    | "setComposerValue"
    | "fetchUpdates"
    | "sendCustomAction"
    | "showHistory"
    | "hideHistory"
  >
>();
check<Same<Extract<keyof ReturnType<typeof useChatKit>, keyof Contract>, Exclude<keyof Contract, "setOptions">>>();

/** The options that the binding hands over are those that the element takes. */
check<Same<Parameters<ThreadkeepChatKit["setOptions"]>[0], ChatKitControl["options"]>>();
