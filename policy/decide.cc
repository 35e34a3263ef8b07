#include "policy/decide.h"

namespace krux::policy {
namespace {

constexpr std::string_view kLevelNames[] = {
#define KRUX_LEVEL(id, name) name,
#include "policy/kernel/tables.def"
};
constexpr std::string_view kVerdictNames[] = {
#define KRUX_VERDICT(id, name) name,
#include "policy/kernel/tables.def"
};
constexpr std::string_view kRiskNames[] = {
#define KRUX_RISK(id, name) name,
#include "policy/kernel/tables.def"
};
constexpr std::string_view kLegNames[] = {
#define KRUX_LEG(id, name, what) name,
#include "policy/kernel/tables.def"
};
constexpr std::string_view kDimensionNames[] = {
#define KRUX_DIMENSION(id, name, consequential, lockdown, what) name,
#include "policy/kernel/tables.def"
};
constexpr std::string_view kComponentNames[] = {
#define KRUX_COMPONENT(id, name, what) name,
#include "policy/kernel/tables.def"
};
constexpr std::string_view kBudgetNames[] = {
#define KRUX_BUDGET(id, name, what) name,
#include "policy/kernel/tables.def"
};

constexpr size_t kMaxScopes = 32;

// Nonsense has the name of what it is taken for.
template <size_t n, typename Enum>
const char* NameIn(const std::string_view (&names)[n], Enum value, const char* nonsense) {
  const auto index = static_cast<size_t>(value);
  return index < n ? names[index].data() : nonsense;
}

krux_footprint KernelFootprint(const Footprint& footprint) {
  const int readable = (footprint.reads_private ? KRUX_PRIVATE : 0) |
                       (footprint.reads_untrusted ? KRUX_UNTRUSTED : 0);
  return {.readable = static_cast<uint8_t>(readable),
          .network = footprint.network,
          .runs_program = footprint.runs_program,
          .within_grants = footprint.within_grants,
          .layers = footprint.layers};
}

}  // namespace

krux_call KernelCall(const Call& call, const Footprint& footprint) {
  krux_call kernel = {};
  kernel.dimension = static_cast<uint8_t>(call.dimension);
  kernel.risk = static_cast<uint8_t>(call.risk);
  kernel.sources = call.contribution & (KRUX_PRIVATE | KRUX_UNTRUSTED);
  kernel.sink = (call.contribution & KRUX_EXFIL) != 0;
  kernel.obliged = !call.obliged_rule.empty();
  kernel.endorsed = call.endorsed;
  const bool too_many = call.scopes.size() > kMaxScopes;
  for (size_t i = 0; i < call.scopes.size() && !too_many; ++i) {
    kernel.scopes |= UINT32_C(1) << i;
    if (call.scopes[i].inside) kernel.inside |= UINT32_C(1) << i;
  }
  if (too_many) kernel.scopes = 1;
  kernel.footprint = KernelFootprint(footprint);
  for (int i = 0; i < kBudgets; ++i) kernel.cost[i] = call.cost[i];
  for (int i = 0; i < 4; ++i) kernel.digest[i] = call.digest[i];
  return kernel;
}

Decision Decide(const State& state, const Call& call, const Footprint& footprint, uint64_t now_ms) {
  const krux_call kernel = KernelCall(call, footprint);
  Decision decision{.next = state};
  krux_decision decided;
  krux_step_call(&decision.next.kernel, &kernel, now_ms, &decided);
  decision.verdict = static_cast<Verdict>(decided.verdict);
  if (decided.ticket != 0) decision.ticket = state.kernel.tickets[decided.ticket - 1].nonce;
  if (decided.reasons != 0) decision.reasons = Explain(decided, state, call, footprint, now_ms);
  return decision;
}

const char* Name(Level level) { return NameIn(kLevelNames, level, "never"); }
const char* Name(Verdict verdict) { return NameIn(kVerdictNames, verdict, "deny"); }
const char* Name(Risk risk) { return NameIn(kRiskNames, risk, "critical"); }
const char* Name(Dimension dimension) { return NameIn(kDimensionNames, dimension, "none"); }
const char* Name(Component component) { return NameIn(kComponentNames, component, "none"); }

std::span<const std::string_view> LevelNames() { return kLevelNames; }
std::span<const std::string_view> DimensionNames() { return kDimensionNames; }
std::span<const std::string_view> BudgetNames() { return kBudgetNames; }
std::span<const std::string_view> LegNames() { return kLegNames; }

}  // namespace krux::policy
