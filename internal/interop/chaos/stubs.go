package main

import (
	"context"
	"io"
	"time"
)

var streamFaults, balancerFaults, clientFaults, machineFaults, wechatFaults, pageFaults, handshakeAbuses, httpAbuses, socketAbuses, packetAbuses, originAbuses, pushAbuses, loginAbuses, exposureAbuses []row

func runMutations(context.Context, io.Writer, []row, bool) int      { return 0 }
func runSoak(context.Context, io.Writer, time.Duration, uint64) int { return 0 }
