//go:build !linux

package main

import (
	"errors"
	"os"
)

// hideInput is for Linux; elsewhere the password is read as it is typed.
func hideInput(*os.File) (restore func(), err error) {
	return nil, errors.New("not on this system")
}
