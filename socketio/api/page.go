package api

import (
	"html/template"
	"net/http"
)

// page is the description of the API for people. It needs no script.
var page = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Posthouse API</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 50rem; margin: 2rem auto; padding: 0 1rem; }
code { font: 0.9em ui-monospace, monospace; }
td { padding: 0.3rem 1rem 0.3rem 0; vertical-align: top; }
</style>
</head>
<body>
<h1>Posthouse API</h1>
<p>Each request has the header <code>Authorization: Bearer KEY</code>. Errors are <code>application/problem+json</code>.
The whole description is <a href="openapi.json">openapi.json</a>.</p>
<table>
{{range .}}<tr><td><code>{{.Method}} {{.Path}}</code></td><td>{{.Summary}}</td></tr>
{{end}}</table>
</body>
</html>
`))

type route struct{ Method, Path, Summary string }

var routes = []route{
	{"POST", "/api/emit", "Emit an event to clients; with ack, wait for their acknowledgements"},
	{"POST", "/api/batch", "Emit up to 1000 events; each entry has its own result"},
	{"POST", "/api/join", "Put sockets into rooms"},
	{"POST", "/api/leave", "Take sockets out of rooms"},
	{"POST", "/api/disconnect", "Disconnect sockets"},
	{"GET", "/api/sockets", "List sockets, by namespace, room and user"},
	{"GET", "/api/sockets/{namespace}/{id}", "Tell of one socket"},
	{"GET", "/api/rooms", "List rooms"},
	{"GET", "/api/presence", "Tell who is in a room"},
	{"GET", "/api/history", "Tell the last events of a room"},
}

func (h *Handler) servePage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_ = page.Execute(w, routes) // the client may have gone
}
