// Bounds: how much of everything, and how long for anything. One table, from which kruxd takes its
// defaults, krux.toml its keys ([limits]) and docs/PROTOCOL.md its tables, each checked by a test.
//
//   Bounds bounds;
//   bounds.wait_ms = 2'000;
//   KRUX_TRY(SetBound(bounds, "calls", 64));     // gateway/bounds_text.h
//
// A second table holds what nobody configures: how long a client and the supervisor wait.
#pragma once

#include <cstdint>

namespace krux::gateway {

// X(name, default, least, most). *_ms are milliseconds; docs/PROTOCOL.md says what lies beyond
// each.
#define KRUX_BOUNDS(X)                       \
  X(connections, 1'500, 2, 4'096)            \
  X(connections_per_agent, 1'200, 1, 4'096)  \
  X(sessions, 256, 1, 1'024)                 \
  X(sessions_per_agent, 192, 1, 1'024)       \
  X(opens, 4, 1, 64)                         \
  X(opens_waiting, 256, 1, 4'096)            \
  X(calls, 32, 1, 128)                       \
  X(calls_per_agent, 16, 1, 128)             \
  X(calls_per_session, 8, 1, 128)            \
  X(calls_starting, 1, 1, 64)                \
  X(waiting, 384, 1, 1'024)                  \
  X(waiting_per_agent, 256, 1, 1'024)        \
  X(waiting_per_session, 128, 1, 1'024)      \
  X(unanswered_per_connection, 16, 1, 64)    \
  X(unread_mib_per_agent, 256, 16, 65'536)   \
  X(frames_per_second, 2'000, 10, 1'000'000) \
  X(refusals_per_second, 200, 1, 1'000'000)  \
  X(hello_ms, 10'000, 100, 600'000)          \
  X(open_ms, 15'000, 100, 600'000)           \
  X(wait_ms, 10'000, 0, 600'000)             \
  X(setup_ms, 10'000, 100, 600'000)          \
  X(grace_ms, 5'000, 100, 600'000)           \
  X(append_ms, 5'000, 100, 600'000)          \
  X(stop_ms, 3'000, 100, 60'000)

struct Bounds {
#define X(name, value, least, most) uint64_t name = value;
  KRUX_BOUNDS(X)
#undef X
};

// X(name, milliseconds)
#define KRUX_DEADLINES(X)                                                     \
  X(kConnectMs, 10'000)   /* client: connect(2), where the backlog is full */ \
  X(kAnswerMs, 10'000)    /* client: hello, status, checkpoint, stop */       \
  X(kOpenMs, 60'000)      /* client: open */                                  \
  X(kCallMs, 15 * 60'000) /* client: a call */                                \
  X(kStoppedMs, 20'000)   /* client: the end of a gateway that is stopping */ \
  X(kStartMs, 20'000)     /* client: the start of a private gateway */        \
  X(kDrainMs, 8'000)      /* supervisor: kruxd after SIGTERM */               \
  X(kEndMs, 5'000)        /* supervisor: the others, before SIGKILL */        \
  X(kReadyMs, 15'000)     /* supervisor: the daemons of a new generation */   \
  X(kAliveEveryMs, 5'000) /* kruxd: says that it lives */                     \
  X(kAliveMs, 20'000)     /* supervisor: a kruxd that says nothing */         \
  X(kSilentMs, 15'000)    /* kruxd: a krux-auditd that answers nothing */     \
  X(kReloadMs, 5'000)     /* kruxd: the supervisor, asked for the policy files */

#define X(name, value) inline constexpr uint64_t name = value;
KRUX_DEADLINES(X)
#undef X

}  // namespace krux::gateway
