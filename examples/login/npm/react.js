import { createElement, useEffect, useRef } from "react";
import { loadLogin } from "./index.js";

export function PosthouseLogin({ gateway, className, onToken, onCode, onState, onFailure, ...attributes }) {
  const element = useRef(null);
  const handlers = useRef({});
  handlers.current = { token: onToken, code: onCode, state: onState, failure: onFailure };
  useEffect(() => {
    loadLogin(gateway).catch((error) => handlers.current.failure?.({ code: "unavailable", message: error.message }));
  }, [gateway]);
  useEffect(() => {
    const node = element.current;
    const tell = ({ type, detail }) => handlers.current[type]?.(detail);
    const types = Object.keys(handlers.current);
    for (const type of types) node.addEventListener(type, tell);
    return () => types.forEach((type) => node.removeEventListener(type, tell));
  }, []);
  return createElement("posthouse-login", { ...attributes, class: className, src: gateway, ref: element });
}
