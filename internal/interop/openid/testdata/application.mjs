// An application that knows openid-client and nothing of the gateway:
// node application.mjs PORT ISSUER CLIENT SECRET
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
const require = createRequire(join(process.env.NODE_PATH, "x.js"));
const oidc = await import(pathToFileURL(require.resolve("openid-client")));

const [port, issuer, clientID, secret] = process.argv.slice(2);
const here = `http://127.0.0.1:${port}`;
// Plain HTTP is for this test alone.
const config = await oidc.discovery(new URL(issuer), clientID, secret || undefined, secret ? undefined : oidc.None(), { execute: [oidc.allowInsecureRequests] });
const waiting = new Map(); // by state

createServer(async (request, response) => {
  const url = new URL(request.url, here);
  try {
    if (url.pathname === "/start") {
      const verifier = oidc.randomPKCECodeVerifier();
      const state = oidc.randomState();
      const nonce = oidc.randomNonce();
      waiting.set(state, { verifier, nonce });
      const to = oidc.buildAuthorizationUrl(config, {
        redirect_uri: `${here}/callback`, scope: "openid profile wechat offline_access", state, nonce,
        code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256",
      });
      response.writeHead(302, { location: to.href }).end();
    } else if (url.pathname === "/callback") {
      const state = url.searchParams.get("state");
      const { verifier, nonce } = waiting.get(state);
      const tokens = await oidc.authorizationCodeGrant(config, url, { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true });
      const claims = tokens.claims();
      const info = await oidc.fetchUserInfo(config, tokens.access_token, claims.sub);
      const result = { claims, info, mixUp: false, refreshed: false, logout: oidc.buildEndSessionUrl(config, { id_token_hint: tokens.id_token, post_logout_redirect_uri: `${here}/bye`, state: "s" }).href };
      if (tokens.refresh_token) {
        const again = await oidc.refreshTokenGrant(config, tokens.refresh_token);
        await oidc.fetchUserInfo(config, again.access_token, claims.sub);
        if (secret) result.active = (await oidc.tokenIntrospection(config, again.access_token)).active;
        await oidc.tokenRevocation(config, again.refresh_token);
        if (secret) result.revoked = !(await oidc.tokenIntrospection(config, again.access_token)).active;
        result.refreshed = true;
      }
      // An answer of another issuer is refused: RFC 9207.
      const foreign = new URL(url);
      foreign.searchParams.set("iss", "https://evil.example");
      try {
        await oidc.authorizationCodeGrant(config, foreign, { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce });
      } catch (error) {
        result.mixUp = /iss/.test(String(error.message) + String(error.cause?.message ?? ""));
      }
      response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(`<!doctype html><title>in</title><pre id="result"></pre><script>document.getElementById("result").textContent = ${JSON.stringify(JSON.stringify(result))}</script>`);
    } else response.writeHead(url.pathname === "/favicon.ico" ? 204 : 200).end(url.pathname);
  } catch (error) {
    response.writeHead(500, { "content-type": "text/html" }).end(`<pre id="result">${String(error.stack)} ${String(error.cause)}</pre>`);
  }
}).listen(Number(port), "127.0.0.1", () => console.log("listening"));
