package main

// streamFaults are what happens to the streams adapter's log (docs/reliability.md §3).
var streamFaults = []row{{
	id: "F9", name: "the stream is trimmed while a reader pauses",
	does: "MAXLEN trims entries that a node has not read, on a real redis-server", bar: "the gap is noticed and reported as recovered=false",
	guards: "the first entry that is read must follow the last one",
	tests:  []goTests{{"./adapter", "TestTrimmingBeforeReadingIsNoticed|TestRecovery_TrimmedOffsetIsNotRecovered"}},
}, {
	id: "F10", name: "stream ids of the future; the log begins anew",
	does: "XADD with a far id, a stream that is deleted and begins again", bar: "no reader is stuck, no time is taken from an id",
	guards: "a reader that finds a log behind its offset begins again",
	tests:  []goTests{{"./adapter", "TestStreams_StreamThatBeginsAnewIsRead|TestStreamsAdapter_StreamBeganAnew_IsAGap|TestEntryIDs"}},
}}
