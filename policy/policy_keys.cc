#include "policy/policy_keys.h"

#include "policy/decide.h"

namespace krux::policy {
namespace {

using enum KeyType;

constexpr Key kKeys[] = {
    {"", "krux", kVersion, "version of the file format; must be 1"},
    {"", "name", kPolicyName, "what this policy is called; 1 to 64 of a–z, 0–9, `_`, `-`"},
    {"", "extends", kPolicyName, "a policy that this one can only take away from"},
    {"", "about", kText, "what it is for, in one line; only people read it"},
#define KRUX_DIMENSION(id, name, consequential, lockdown, what) {"levels", name, kLevel, what},
#include "policy/kernel/tables.def"
    {"capabilities", "allow", kNames, "names of calls, on top of the levels; absent = any"},
    {"capabilities", "deny", kNameList, "names of calls that are denied whatever else is said"},
    {"approve", "always", kDimensionList, "dimensions whose every call asks"},
    {"exposure", "trifecta", kMode, "a sink, after private data and untrusted content were seen"},
    {"exposure", "trusted_action", kMode,
     "something consequential, after untrusted content was seen"},
    {"paths", "read", kPaths, "what may be read"},
    {"paths", "write", kPaths, "what may be written"},
    {"paths", "deny_read", kPathList, "what may not be read although `read` covers it"},
    {"paths", "deny_write", kPathList, "what may not be written although `write` covers it"},
    {"paths", "public", kPaths, "files that are no private data"},
    {"paths", "sensitive", kPathList, "files whose reading is never of low risk"},
    {"paths", "secret", kSecretList, "files that no call and no program may read"},
    {"net", "allow", kHosts, "hosts with their port"},
    {"net", "deny", kHostList, "hosts that are denied although `allow` covers them"},
    {"net", "exact", kUrls, "whole URLs whose GET carries nothing out"},
    {"git", "refs", kRefs, "refs that may be pushed"},
    {"git", "deny", kRefList, "refs that may not be pushed although `refs` covers them"},
    {"secrets", "allow", kNames, "names of secrets that calls may use without seeing them"},
    {"secrets", "deny", kNameList, "names that are denied although `allow` covers them"},
    {"mcp", "allow", kNames, "tools of other servers"},
    {"mcp", "deny", kNameList, "tools that are denied although `allow` covers them"},
    {"exec", "allow", kCommands, "commands, word by word"},
    {"exec", "deny", kCommandList, "commands that are denied although `allow` covers them"},
    {"exec", "program_trees", kTrees, "what programs see next to WORK, read-only"},
    {"budget", "calls", kCount, "allowed calls of a session"},
    {"budget", "wall", kDuration, "time that calls run"},
    {"budget", "cpu", kDuration, "processor time of programs"},
    {"budget", "bytes_in", kBytes, "bytes that come in"},
    {"budget", "bytes_out", kBytes, "bytes that go out"},
    {"budget", "cost_usd", kMoney, "cost that the client reports, in US dollars"},
    {"budget", "tokens_in", kCount, "tokens read that the client reports"},
    {"budget", "tokens_out", kCount, "tokens written that the client reports"},
    {"window", "length", kDuration, "how long a session lasts from its opening"},
    {"window", "not_before", kTime, "before it nothing is allowed"},
    {"window", "not_after", kTime, "after it nothing is allowed"},
    {"isolation", "require", kLayers, "layers that not even --allow-degraded may leave out"},
    {"delegate", "depth", kDepth, "how many generations of agents a session may make"},
    {kRuleTable, "when", kPattern, "the calls it is about"},
    {kRuleTable, "if", kExpression, "a test of their arguments; absent = always"},
    {kRuleTable, "then", kRuleVerdict, "`deny` or `ask`"},
};

constexpr std::string_view kTables[] = {
    "levels", "capabilities", "approve", "exposure", "paths",     "net",      "git",     "secrets",
    "mcp",    "exec",         "budget",  "window",   "isolation", "delegate", kRuleTable};

}  // namespace

std::span<const Key> Keys() { return kKeys; }
std::span<const std::string_view> Tables() { return kTables; }

}  // namespace krux::policy
