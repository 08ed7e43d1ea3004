/** Fixed words of the element that options can replace. */
export const DEFAULT_PLACEHOLDER = "Message the AI";
export const NEW_CONVERSATION = "New conversation";
