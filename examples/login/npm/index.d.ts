import type { CodeMessage, Failure } from "./events.js";

export type * from "./events.js";

/** The states of the element. */
export type LoginState =
  | "loading" | "waiting" | "typed" | "claimed" | "done" | "expired" | "replaced" | "moved"
  | "cancelled" | "denied" | "limited" | "unavailable" | "refused";

/** The details of the element's events. */
export interface LoginDetails {
  /** The JWT, once. */
  token: { token: string };
  /** In the place of token, with a challenge: for POST /login/exchange of your own server. */
  code: CodeMessage;
  state: { state: LoginState };
  failure: Omit<Failure, "code"> & { code: Failure["code"] | "unavailable" };
}

/** The attributes of the element. */
export interface LoginAttributes {
  /** Name of the account; the first one otherwise. */
  account?: string;
  /** Otherwise the language of the place that the element stands in. */
  lang?: "zh-CN" | "en";
  theme?: "light" | "dark";
  /** PKCE S256 challenge of your own server. */
  challenge?: string;
  /** Origin of the gateway; that of the script otherwise. */
  src?: string;
}

/** <posthouse-login>. Its events do not bubble. */
export interface PosthouseLoginElement extends HTMLElement {
  addEventListener<K extends keyof LoginDetails>(
    type: K, listener: (this: PosthouseLoginElement, event: CustomEvent<LoginDetails[K]>) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener<K extends keyof HTMLElementEventMap>(
    type: K, listener: (this: PosthouseLoginElement, event: HTMLElementEventMap[K]) => void, options?: boolean | AddEventListenerOptions): void;
  removeEventListener<K extends keyof LoginDetails>(
    type: K, listener: (this: PosthouseLoginElement, event: CustomEvent<LoginDetails[K]>) => void, options?: boolean | EventListenerOptions): void;
  removeEventListener<K extends keyof HTMLElementEventMap>(
    type: K, listener: (this: PosthouseLoginElement, event: HTMLElementEventMap[K]) => void, options?: boolean | EventListenerOptions): void;
}

declare global {
  interface HTMLElementTagNameMap {
    "posthouse-login": PosthouseLoginElement;
  }
}

/** Loads the element from a gateway ("https://login.example.com"), once. */
export function loadLogin(gateway: string | URL): Promise<void>;
