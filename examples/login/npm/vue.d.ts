import type { DefineComponent } from "vue";
import type { LoginAttributes, LoginDetails } from "./index.js";

export interface PosthouseLoginProps extends Omit<LoginAttributes, "src"> {
  /** Origin of the gateway. */
  gateway: string;
}

export type PosthouseLoginEmits = {
  [K in keyof LoginDetails]: (detail: LoginDetails[K]) => void;
};

export declare const PosthouseLogin: DefineComponent<PosthouseLoginProps, {}, {}, {}, {}, {}, {}, PosthouseLoginEmits>;
