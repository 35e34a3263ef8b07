// The decision, in C++: asks the policy kernel (policy/kernel) and says in words why.
//
//   Decision d = policy::Decide(state, call, footprint, now_ms);
//   if (d.verdict == Verdict::kAllow) state = d.next;
//
// The verdict is the kernel's alone; what is written here is its wording. No system call, no clock,
// no global: `now_ms` is an argument, scope membership was computed at bind (policy/match.h) and
// arrives as bits, and what the sandbox would allow arrives as a Footprint.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/kernel/kernel.h"

namespace krux::policy {

// Ordered: never < low_risk < always.
enum class Level : uint8_t {
  kNever = KRUX_LEVEL_NEVER,
  kLowRisk = KRUX_LEVEL_LOW_RISK,
  kAlways = KRUX_LEVEL_ALWAYS
};
// Ordered: deny < ask < allow. Every part of a decision is folded with min.
enum class Verdict : uint8_t { kDeny = KRUX_DENY, kAsk = KRUX_ASK, kAllow = KRUX_ALLOW };
// Ordered: low < elevated < critical.
enum class Risk : uint8_t {
  kLow = KRUX_RISK_LOW,
  kElevated = KRUX_RISK_ELEVATED,
  kCritical = KRUX_RISK_CRITICAL
};

// The sixteen dimensions of policy/kernel/tables.def, plus kNone for calls of krux about itself.
enum class Dimension : uint8_t {
  kReadFiles = KRUX_DIM_READ_FILES,
  kWriteFiles = KRUX_DIM_WRITE_FILES,
  kEditFiles = KRUX_DIM_EDIT_FILES,
  kRunExec = KRUX_DIM_RUN_EXEC,
  kGlobSearch = KRUX_DIM_GLOB_SEARCH,
  kGrepSearch = KRUX_DIM_GREP_SEARCH,
  kWebSearch = KRUX_DIM_WEB_SEARCH,
  kWebFetch = KRUX_DIM_WEB_FETCH,
  kGitCommit = KRUX_DIM_GIT_COMMIT,
  kGitPush = KRUX_DIM_GIT_PUSH,
  kCreatePr = KRUX_DIM_CREATE_PR,
  kManageSandboxes = KRUX_DIM_MANAGE_SANDBOXES,
  kSpawnAgent = KRUX_DIM_SPAWN_AGENT,
  kSecretUse = KRUX_DIM_SECRET_USE,
  kSecretRead = KRUX_DIM_SECRET_READ,
  kMcpCall = KRUX_DIM_MCP_CALL,
  kNone = KRUX_DIM_NONE
};
inline constexpr int kDimensions = KRUX_DIMENSIONS;
inline constexpr int kBudgets = KRUX_BUDGETS;

// The three legs of exfiltration; a set of them is a bit mask, join is bitwise or.
using Exposure = uint8_t;
inline constexpr Exposure kPrivateData = KRUX_PRIVATE;
inline constexpr Exposure kUntrustedContent = KRUX_UNTRUSTED;
inline constexpr Exposure kExfilVector = KRUX_EXFIL;

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
  kLevel = KRUX_PART_LEVEL,
  kObligation = KRUX_PART_OBLIGATION,
  kScope = KRUX_PART_SCOPE,
  kGate = KRUX_PART_GATE,    // private data, untrusted content and a way out would meet
  kTrust = KRUX_PART_TRUST,  // untrusted content would bring about an effect elsewhere
  kConfinement = KRUX_PART_CONFINEMENT,
  kLimit = KRUX_PART_LIMIT
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

using Digest = std::array<uint64_t, 4>;  // 32 bytes, the first the most significant

struct Call {
  Dimension dimension = Dimension::kNone;
  Risk risk = Risk::kLow;
  std::string capability;         // "fs.read"
  std::vector<ScopeBit> scopes;   // one bit per scope that governs the call, at most 32
  Exposure contribution = 0;      // legs this call adds when it runs; kExfilVector: it is a sink
  std::string obliged_rule = {};  // not empty: this rule asks before this very call
  bool endorsed = false;          // every identity argument is a value the operator typed
  std::array<uint64_t, kBudgets> cost = {1};  // known before it runs: one call
  Digest digest = {};                         // of the canonical call; tickets are bound to it
};

// Which line of which policy file set what a session may do. For messages alone.
struct Rules {
  std::array<std::string, kDimensions> levels;
  std::array<std::string, kDimensions> obligations;
  std::array<std::string, kBudgets> budget;
  std::string trifecta, trusted_action, window, isolation, depth;
};

// A session as the kernel sees it, and the rules behind it. A default one grants nothing.
struct State {
  krux_state kernel = {};
  std::shared_ptr<const Rules> rules = {};

  Exposure exposure() const { return kernel.exposure; }
  uint64_t calls() const { return kernel.calls; }
};

struct Decision {
  Verdict verdict = Verdict::kDeny;
  std::vector<Reason> reasons = {};  // every component below allow, lowest verdict first
  uint64_t ticket = 0;               // nonce of the ticket that lifted an ask, 0 for none
  State next = {};                   // equal to the old state unless the verdict is allow
};

// `now_ms` is wall time in milliseconds; it is recorded with the decision so that replay gets the
// same answer. Total: every input has an answer, and the answer to nonsense is deny.
Decision Decide(const State& state, const Call& call, const Footprint& footprint, uint64_t now_ms);

// What the kernel is told. More than 32 scopes: one bit that is outside.
krux_call KernelCall(const Call& call, const Footprint& footprint);
// Why each part is below allow, in words, the lowest verdict first.
std::vector<Reason> Explain(const krux_decision& decision, const State& state, const Call& call,
                            const Footprint& footprint, uint64_t now_ms);

const char* Name(Level level);
const char* Name(Verdict verdict);
const char* Name(Risk risk);
const char* Name(Dimension dimension);
const char* Name(Component component);
// In the order of their numbers.
std::span<const std::string_view> LevelNames();
std::span<const std::string_view> DimensionNames();
std::span<const std::string_view> BudgetNames();
std::span<const std::string_view> LegNames();

}  // namespace krux::policy
