package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// adminCommands are the tools for the Admin UI.
type adminCommands struct {
	Hash adminHash `cmd:"" help:"Read a password and print its bcrypt hash, for POSTHOUSE_ADMIN_PASSWORD_HASH."`
}

// adminHash is the command "posthouse admin hash".
type adminHash struct {
	Cost int `default:"12" help:"Work factor, 10 to 15: each step doubles the time of a log-in."`
}

// Run asks on the terminal, without an echo, or reads the first line of its input.
func (h *adminHash) Run(ctx context.Context) error {
	password, err := readPassword(ctx, os.Stdin, os.Stderr)
	if err != nil {
		return err
	}
	hash, err := hashPassword(password, h.Cost)
	if err != nil {
		return err
	}
	fmt.Println(hash)
	return nil
}

func hashPassword(password string, cost int) (string, error) {
	switch {
	case password == "":
		return "", errors.New("admin hash: the password is empty")
	case len(password) > 72:
		return "", errors.New("admin hash: the password has more than 72 bytes, which is all that bcrypt reads")
	case cost < 10 || cost > 15:
		return "", errors.New("admin hash: --cost is 10 to 15")
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), cost)
	return string(hash), err
}

// readPassword gives the terminal its echo back when ctx ends, too.
func readPassword(ctx context.Context, in *os.File, prompt io.Writer) (string, error) {
	restore, err := hideInput(in)
	if err == nil { // a terminal
		defer restore()
		fmt.Fprint(prompt, "Password: ")
		defer fmt.Fprintln(prompt)
	}
	type input struct {
		line string
		err  error
	}
	read := make(chan input, 1)
	go func() { // ends with the input, or with the process
		line, err := bufio.NewReader(io.LimitReader(in, 4096)).ReadString('\n')
		read <- input{line, err}
	}()
	select {
	case got := <-read:
		if got.err != nil && (!errors.Is(got.err, io.EOF) || got.line == "") {
			return "", fmt.Errorf("admin hash: no password was given: %w", got.err)
		}
		return strings.TrimRight(got.line, "\r\n"), nil
	case <-ctx.Done():
		return "", errors.New("admin hash: interrupted")
	}
}
