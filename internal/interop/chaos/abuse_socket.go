package main

// socketAbuses are floods over sockets that are open (docs/reliability.md §4 rows 7, 8, 10 to 19).
var socketAbuses = []row{{
	id: "7", name: "messages without end: oversize, fragments", does: "announced lengths, a million fragments, a message that trickles",
	bar: "1009 or 1008; no allocation beyond what came", guards: "fragments of a message are bounded", tests: []goTests{{"./socketio/engineio/internal/ws",
		"TestAnnouncedLengthIsCheckedBeforeAnythingIsAllocated|TestFragmentFloods|TestSlowMessage|TestLimits_|TestMemoryGrows|TestOneByteReads"}},
}, {
	id: "8", name: "deflate bombs", does: "a megabyte that inflates to a gigabyte", bar: "1009 at the limit", guards: "inflating stops at the limit",
	tests: []goTests{{"./socketio/engineio/internal/ws", "Deflate"}, {"./socketio/engineio", "DeflateBomb"}},
}, {
	id: "10", name: "pings and pongs without end", does: "control packets and frames by the thousand", bar: "dropped, then closed; one timer a session",
	guards: "control packets have a rate", tests: []goTests{{"./socketio/engineio", "TestControlFloods|TestHeartbeat_UnaskedPongsChangeNothing"}, {"./socketio/engineio/internal/ws", "TestControlFloods"}},
}, {
	id: "11", name: "many namespaces on one connection", does: "joins beyond the limit, dynamic namespaces", bar: "CONNECT_ERROR; empty children are forgotten",
	guards: "a connection has 16 namespaces", tests: []goTests{{"./socketio", "TestLimitNamespaces|TestParentNamespace_EmptyChildrenAreForgotten"}},
}, {
	id: "12", name: "CONNECTs that are refused, again and again", does: "unknown namespaces and refusing middlewares in a flood", bar: "CONNECT_ERROR each, then the connection ends",
	guards: "refused CONNECTs have a rate", tests: []goTests{{"./socketio", "TestConnect_FloodOfRefusals|TestConnect_RefusedNamespaces"}},
}, {
	id: "13", name: "malformed auth, and the pid of another session", does: "arrays, megabytes, depth; guessed and used pids", bar: "CONNECT_ERROR or close; never another's rooms",
	guards: "auth is an object of at most 8 KB", tests: []goTests{{"./socketio", "TestLimitAuthSize|TestRecoveryRefusesWhatItCannotProve"}, {"./socketio/parser", "TestDecodeRefuses"}},
}, {
	id: "14", name: "rooms without end", does: "joins beyond the limit, names that are socket ids", bar: "an error of the application", guards: "rooms of a socket are bounded",
	tests: []goTests{{"./socketio", "TestRoomLimits"}, {"./socketio/access", "."}},
}, {
	id: "15", name: "acknowledgements that never come", does: "thousands of pending acks, broadcasts with acks", bar: "the oldest fails; the map is freed",
	guards: "pending acks are bounded", tests: []goTests{{"./socketio", "TestLimitPendingAcks|TestLimitTimedOutAck|TestLimitUnansweredBroadcast"}},
}, {
	id: "16", name: "acknowledgements that were not asked for", does: "unknown, huge, negative and repeated ack ids", bar: "ignored; a callback runs at most once",
	guards: "an ack id is used once", tests: []goTests{{"./socketio", "TestWireOddPackets|TestSocket_EmitWithAck_AnswerTimeout|TestLimitTimedOutAck"}, {"./socketio/parser", "TestDecodeRefuses"}},
}, {
	id: "17", name: "event flood", does: "a flood in /login of the built gateway, and of the library's limits", bar: "answers `rate_limited`, then the end",
	guards: "events have a rate", tests: []goTests{{"./internal/interop/gateway", "TestAnswersOfTheLoginNamespace/a_burst_of_events"}, {"./gateway", "FloodOfEvents"}, {"./socketio", "TestLimits_EventsPerSecond"}},
}, {
	id: "18", name: "slow handlers under a flood", does: "events beyond the mailbox while a handler hangs", bar: "the connection is not read further; memory is flat; order is kept",
	guards: "a mailbox is bounded", tests: []goTests{{"./socketio", "TestLimitMailbox|TestRecovery_MoreEvents"}},
}, {
	id: "19", name: "clients that never read", does: "emits to peers that take nothing, over both transports", bar: "closed at 16 MB, or at 1 MB and 10 s; all together bounded",
	guards: "a peer that takes nothing is closed", tests: []goTests{{"./socketio/engineio", "TestSession_SlowPeer"}, {"./socketio", "TestLimitSlowClientIsCut"}},
}}

// packetAbuses are packets that cannot be (docs/reliability.md §4 rows 20 to 22).
var packetAbuses = []row{{
	id: "20", name: "text that is not UTF-8", does: "in frames, bodies and close reasons", bar: "1007 or 400", guards: "text is checked",
	tests: []goTests{{"./socketio/engineio", "InvalidUTF8"}, {"./socketio/engineio/internal/ws", "TestInvalidText|TestAutobahn"}},
}, {
	id: "21", name: "attachments: too many, missing, with text between", does: "each disorder of a binary packet", bar: "the connection ends", guards: "attachments are counted",
	tests: []goTests{{"./socketio/parser", "TestDecodeRefuses|TestDecodeSequences"}, {"./socketio", "TestLimitAttachmentsMustCome"}},
}, {
	id: "22", name: "JSON bombs", does: "depth, keys, numbers, surrogates, __proto__", bar: "`invalid payload`; linear time", guards: "depth ends at 32",
	tests: []goTests{{"./socketio/parser", "TestDecodeRefuses|TestVerdictsAsNode|TestArgsRefuse"}},
}}
