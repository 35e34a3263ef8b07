// StopPoint: where a test holds kruxd still, to kill something while a call stands exactly there.
// It is nothing at all in krux as shipped; only the test build (KRUX_STOP_POINTS, kruxd-stops) has
// it.
//
//   StopPoint("intent_durable");
//
// The test build reads the name of one point from the file `stop-at` beside its own program at
// start. The first time it comes there it writes a byte into the fifo `reached` and waits for one
// from the fifo `go` (or for its end), both beside that file. Reads and writes of descriptors that
// were opened before, so that neither Landlock nor a system call filter is in the way.
#pragma once

namespace krux::gateway {

// Besides the ten stages of pipeline.h, under their names, before each is entered for the first
// time. "approve" therefore is: the intent was sent and perhaps not written; "collect": Go was
// sent; "reply": the outcome is durable.
inline constexpr const char* kStopPoints[] = {
    "open",            // a session is asked for
    "opened",          // its WORK was checked
    "admit",           // 1
    "bind",            // 2
    "plan",            // 3
    "decide",          // 4
    "record",          // 5
    "approve",         // 6
    "spawn",           // 7
    "spawn_sent",      // krux-spawnd was asked for a sandbox
    "intent_durable",  // krux-auditd said so
    "ready",           // the worker is confined and waits
    "collect",         // 8
    "done",            // the worker has ended
    "outcome",         // 9
    "outcome_sent",    // the outcome was sent and perhaps not written
    "reply",           // 10
    "replied",         // the answer is in the client's socket
};

#ifdef KRUX_STOP_POINTS
// Before the process confines itself.
void ReadStopPoint();
void StopPoint(const char* name);
// `stop-at` says "without " and this rule: then kruxd breaks it, to show that the tests notice.
bool IsLeftOut(const char* rule);
#else
inline void ReadStopPoint() {}
inline void StopPoint(const char*) {}
constexpr bool IsLeftOut(const char*) { return false; }
#endif

}  // namespace krux::gateway
