import type { HTMLAttributes, ReactElement, RefAttributes } from "react";
import type { LoginAttributes, LoginDetails, PosthouseLoginElement } from "./index.js";

export interface PosthouseLoginProps extends Omit<LoginAttributes, "src"> {
  /** Origin of the gateway. */
  gateway: string;
  className?: string;
  id?: string;
  onToken?: (detail: LoginDetails["token"]) => void;
  onCode?: (detail: LoginDetails["code"]) => void;
  onState?: (detail: LoginDetails["state"]) => void;
  onFailure?: (detail: LoginDetails["failure"]) => void;
}

export function PosthouseLogin(props: PosthouseLoginProps): ReactElement;

declare module "react" {
  namespace JSX {
    interface IntrinsicElements {
      "posthouse-login": Omit<HTMLAttributes<PosthouseLoginElement>, keyof LoginAttributes> & RefAttributes<PosthouseLoginElement> & LoginAttributes;
    }
  }
}
