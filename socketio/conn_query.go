package socketio

import (
	"path"
	"strings"
)

// cutQuery splits what a revision 3 client sends as the name of a namespace
// (docs/protocol.md §2.2), and normalises its path as a URL parser would.
func cutQuery(namespace string) (name, query string) {
	if namespace == "/" {
		return namespace, ""
	}
	name, _, _ = strings.Cut(namespace, "#")
	name, query, _ = strings.Cut(name, "?")
	if strings.Contains(name, "/.") {
		slash := strings.HasSuffix(name, "/") || strings.HasSuffix(name, "/.") || strings.HasSuffix(name, "/..")
		if name = path.Clean(name); slash && name != "/" {
			name += "/"
		}
	}
	if name == "" {
		name = "/"
	}
	return escapePath(name), query
}

// escapePath percent-encodes what a URL parser encodes in a path; what is encoded
// already stays.
func escapePath(name string) string {
	const upper = "0123456789ABCDEF"
	var b []byte
	for i := range len(name) {
		switch c := name[i]; {
		case c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>`{}", c) >= 0:
			if b == nil {
				b = append(make([]byte, 0, len(name)+16), name[:i]...)
			}
			b = append(b, '%', upper[c>>4], upper[c&15])
		case b != nil:
			b = append(b, c)
		}
	}
	if b == nil {
		return name
	}
	return string(b)
}
