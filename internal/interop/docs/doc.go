// Package docs holds no code: its tests keep the documentation true. Every
// exported name of a public package has a doc comment, every exported type and
// function occurs in an Example, and what README.md shows (the library snippet,
// the table of settings, the matrix of clients, the tree) is what is there.
//
//	go test ./internal/interop/docs -update
//
// writes the generated parts of README.md anew. It needs Go only.
package docs
