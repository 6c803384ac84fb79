package socketio

import (
	"bytes"
	"strings"
	"testing"
)

// A client that names one attachment many times must not make a relay of its
// arguments grow: the attachment is sent once.
func TestAnAttachmentNamedTwiceIsSentOnce(t *testing.T) {
	t.Parallel()
	const one = `{"_placeholder":true,"num":0}`
	text := []byte(`[` + strings.Repeat(one+`,`, 999) + one + `,{"_placeholder":true,"num":2}]`)
	own := [][]byte{{1}, {2}, {3}}
	dst, attachments := spliceAttachments(nil, [][]byte{{9}}, text, own)
	if len(attachments) != 3 || !bytes.Equal(attachments[1], own[0]) || !bytes.Equal(attachments[2], own[2]) {
		t.Fatalf("%d attachments", len(attachments))
	}
	if n := bytes.Count(dst, []byte(`{"_placeholder":true,"num":1}`)); n != 1000 {
		t.Errorf("%d references, want 1000", n)
	}
	if !bytes.HasSuffix(dst, []byte(`,{"_placeholder":true,"num":2}]`)) {
		t.Errorf("the end: %s", dst[len(dst)-40:])
	}
}
