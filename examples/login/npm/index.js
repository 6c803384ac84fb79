// The element comes from the gateway, so that both are of one version.
const loads = new Map();

export function loadLogin(gateway) {
  const url = new URL("/login/element.js", gateway).href;
  if (!loads.has(url)) {
    const load = import(/* webpackIgnore: true */ /* @vite-ignore */ url);
    loads.set(url, load);
    load.catch(() => loads.delete(url)); // the next call tries again
  }
  return loads.get(url).then(() => undefined);
}
