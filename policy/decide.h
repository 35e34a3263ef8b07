// The policy kernel: one pure, total function from state and call to a verdict.
//
//   Decision d = policy::Decide(state, call, footprint, now);
//   if (d.verdict == Verdict::kAllow) state = d.next;
//
// No system call, no clock, no global: `now` is an argument, scope membership was computed at bind
// (policy/match.h) and arrives as bits, and what the sandbox would allow arrives as a Footprint.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace krux::policy {

// Ordered: never < low_risk < always.
enum class Level : uint8_t { kNever = 0, kLowRisk = 1, kAlways = 2 };
// Ordered: deny < ask < allow. Every part of a decision is folded with min.
enum class Verdict : uint8_t { kDeny = 0, kAsk = 1, kAllow = 2 };
// Ordered: low < elevated < critical.
enum class Risk : uint8_t { kLow = 0, kElevated = 1, kCritical = 2 };

// The sixteen dimensions, in their frozen order, plus kNone for calls of krux about itself.
// X(enumerator, name in policy files and records)
#define KRUX_DIMENSIONS(X)                \
  X(kReadFiles, "read_files")             \
  X(kWriteFiles, "write_files")           \
  X(kEditFiles, "edit_files")             \
  X(kRunExec, "run_exec")                 \
  X(kGlobSearch, "glob_search")           \
  X(kGrepSearch, "grep_search")           \
  X(kWebSearch, "web_search")             \
  X(kWebFetch, "web_fetch")               \
  X(kGitCommit, "git_commit")             \
  X(kGitPush, "git_push")                 \
  X(kCreatePr, "create_pr")               \
  X(kManageSandboxes, "manage_sandboxes") \
  X(kSpawnAgent, "spawn_agent")           \
  X(kSecretUse, "secret_use")             \
  X(kSecretRead, "secret_read")           \
  X(kMcpCall, "mcp_call")

enum class Dimension : uint8_t {
#define X(enumerator, name) enumerator,
  KRUX_DIMENSIONS(X)
#undef X
      kNone
};
inline constexpr int kDimensions = 16;

// The three legs of exfiltration; a set of them is a bit mask, join is bitwise or.
using Exposure = uint8_t;
inline constexpr Exposure kPrivateData = 1;
inline constexpr Exposure kUntrustedContent = 2;
inline constexpr Exposure kExfilVector = 4;

// What the sandbox built for this call would let it touch, in the terms of policy. Computed from
// the Spec (runtime/plan.h), so that policy never includes sandbox.
struct Footprint {
  bool reads_private = false;    // some readable tree is labelled private
  bool reads_untrusted = false;  // some readable tree is labelled untrusted
  bool writes = false;           // some tree is writable
  bool network = false;          // some network hole exists
  bool runs_program = false;     // an executable chosen by the agent runs
  bool within_grants = true;     // every tree lies inside the policy's path scopes
  uint32_t layers = 0;           // layers that must be measured to hold, bits of sandbox::Layer
};

// Part of a decision that can pull the verdict below allow.
enum class Component : uint8_t {
  kLevel,
  kScope,
  kConfinement,
  kExposure,
  kTrust,
  kLimit,
  kObligation
};

struct Reason {
  Component component;
  Verdict verdict;      // what this component alone would say
  std::string rule;     // "read_only:12 paths.read" – names one line of one policy file
  std::string message;  // lower case, user input in backticks, then the next action
  bool operator==(const Reason&) const = default;
};

struct ScopeBit {
  bool inside = false;
  std::string rule;   // the rule that decided membership, with file and line
  std::string value;  // the matched value, e.g. the path
  std::string scope;  // "paths.read", "exec.allow", "capabilities.allow"
};

struct Call {
  Dimension dimension = Dimension::kNone;
  Risk risk = Risk::kLow;
  std::string capability;        // "fs.read"
  std::vector<ScopeBit> scopes;  // one bit per scope that governs the call
  Exposure contribution = 0;     // legs this call adds when it runs
};

// What a session may do. The levels carry the policy line that set them.
struct Authority {
  Level levels[kDimensions] = {};  // default: never
  std::string
      level_rules[kDimensions];  // "read_only:9 levels.read_files", or "…: unlisted = never"
  uint32_t required_layers = 0;  // isolation.require, bits of sandbox::Layer
  std::string isolation_rule;    // "read_only:23 isolation.require", empty where not set
};

struct State {
  Authority authority;
  Exposure exposure = 0;
  uint64_t calls = 0;  // decided calls of this session, allowed ones only
};

struct Decision {
  Verdict verdict = Verdict::kDeny;
  std::vector<Reason> reasons;  // every component below allow, lowest verdict first
  State next;                   // equal to the old state unless the verdict is allow
};

// `now_ms` is wall time in milliseconds; it is recorded with the decision so that replay gets the
// same answer. Total: every input has an answer, and the answer to nonsense is deny.
Decision Decide(const State& state, const Call& call, const Footprint& footprint, uint64_t now_ms);

const char* Name(Level level);
const char* Name(Verdict verdict);
const char* Name(Risk risk);
const char* Name(Dimension dimension);

}  // namespace krux::policy
