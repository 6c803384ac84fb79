// Compiled, not run.
import { PosthouseLogin } from "posthouse-login/react";

export const members = (
  <PosthouseLogin gateway="https://login.example.com" account="shop" lang="en" theme="dark" className="login"
    onToken={({ token }) => console.log(token.length)} onCode={({ code, expiresIn }) => console.log(code.length, expiresIn + 1)}
    onState={({ state }) => console.log(state === "done")} onFailure={({ code, message }) => console.log(code === "unavailable", message)} />
);
export const bare = <posthouse-login account="shop" src="https://login.example.com" className="login" />;
// @ts-expect-error the gateway is missing
export const none = <PosthouseLogin />;
// @ts-expect-error no such language
export const wrong = <PosthouseLogin gateway="https://login.example.com" lang="fr" />;
// @ts-expect-error a token is a text
export const number = <PosthouseLogin gateway="https://login.example.com" onToken={({ token }: { token: number }) => token} />;
