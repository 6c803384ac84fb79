// Compiled, not run: what a template becomes.
import { h } from "vue";
import { PosthouseLogin } from "posthouse-login/vue";

export const members = () => h(PosthouseLogin, {
  gateway: "https://login.example.com", account: "shop", lang: "en",
  onToken: ({ token }) => console.log(token.length),
  onFailure: ({ code, message }) => console.log(code === "unavailable", message),
});
// @ts-expect-error the gateway is missing
export const none = () => h(PosthouseLogin, { account: "shop" });
// @ts-expect-error no such theme
export const wrong = () => h(PosthouseLogin, { gateway: "https://login.example.com", theme: "blue" });
// @ts-expect-error a token is a text
export const number = () => h(PosthouseLogin, { gateway: "https://login.example.com", onToken: ({ token }: { token: number }) => token });
