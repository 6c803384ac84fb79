package load

import (
	"bufio"
	"strings"
	"testing"
)

func TestReadInfo_TakesTheFieldsOfRedis(t *testing.T) {
	t.Parallel()
	const body = "# Stats\r\ntotal_commands_processed:42\r\nused_memory:1024\r\n"
	info, err := readInfo(bufio.NewReader(strings.NewReader("$56\r\n" + body + "\r\n")))
	if err != nil || info["total_commands_processed"] != "42" {
		t.Errorf("%v, %v", info, err)
	}
	for _, answer := range []string{"-ERR no\r\n", "$-1\r\n", "$999999999\r\n", "$10\r\nshort", ""} {
		if _, err := readInfo(bufio.NewReader(strings.NewReader(answer))); err == nil {
			t.Errorf("%q was taken", answer)
		}
	}
}

func TestHeapAndStack_AddsWhatTheProfileTells(t *testing.T) {
	t.Parallel()
	const profile = "heap profile: 1: 2 [3: 4] @ heap/1\n# runtime.MemStats\n# Alloc = 7\n# HeapAlloc = 1000\n# HeapInuse = 5\n# Stack = 24 / 100\n"
	if n, err := heapAndStack(profile); err != nil || n != 1024 {
		t.Errorf("%v, %v", n, err)
	}
	if _, err := heapAndStack("# HeapAlloc = 1\n"); err == nil {
		t.Error("half of it was taken")
	}
}
