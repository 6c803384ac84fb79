// Package doccheck holds no code: its tests keep the documentation true. Every
// exported name of a public package has a doc comment; every exported type and
// function occurs in an Example; the generated parts of README.md, README.zh-CN.md
// and docs/ (the library's program, the settings, the matrix of clients) and the
// tree of ARCHITECTURE.md are what is there; every link leads to a file or a
// heading, and every citation of a contract to a section or a row; names of one bare
// word are the exception of every package.
//
//	go test ./internal/doccheck -update
//
// writes the generated parts anew. The tests need Go only.
package doccheck
