package vagranttest

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/pseudotty"
)

// Answer is what somebody at the keyboard answers to a prompt.
type Answer struct {
	// Prompt is a part of what is asked.
	Prompt string
	// Text is the answer, without the key that ends it.
	Text string
}

// Talk is [Client.Run] on a terminal, with answers that are given in this order, each when it is asked for.
func (c *Client) Talk(t testing.TB, answers []Answer, args ...string) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runTime)
	defer cancel()
	master, tty := pseudotty.Open(t)
	defer func() { _ = master.Close() }() // what was to be read is read
	cmd := c.command(ctx, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// The program has its own; reading ends with an error when it has closed them.
	if err := tty.Close(); err != nil {
		t.Error(err)
	}
	said := make(chan string)
	go func() { said <- converse(master, answers) }()
	err := cmd.Wait()
	return c.ended(t, ctx, args, <-said, err)
}

// converse reads what is said until the other side hangs up, and answers on the way.
func converse(master *os.File, answers []Answer) string {
	var all, fresh strings.Builder
	buffer := make([]byte, 4096)
	for {
		n, err := master.Read(buffer)
		all.Write(buffer[:n])
		fresh.Write(buffer[:n])
		if len(answers) > 0 && strings.Contains(fresh.String(), answers[0].Prompt) {
			// What cannot be written will be missed by the program, which says so.
			_, _ = master.WriteString(answers[0].Text + "\n")
			answers = answers[1:]
			fresh.Reset()
		}
		if err != nil {
			return all.String()
		}
	}
}
