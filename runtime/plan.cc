#include "runtime/plan.h"

#include <algorithm>
#include <optional>

#include "base/path.h"
#include "policy/rule.h"
#include "runtime/exposure.h"
#include "runtime/request.h"
#include "runtime/write_risk.h"

namespace krux::runtime {
namespace {

// A policy bound to WORK; a copy only where it is not bound yet, which a session's is.
struct Bound {
  Bound(const policy::Policy& given, std::string_view work)
      : made(given.bound ? std::nullopt : std::optional(policy::ForWork(given, work))),
        policy(made ? *made : given) {}
  Bound(const Bound&) = delete;
  Bound& operator=(const Bound&) = delete;
  const std::optional<policy::Policy> made;
  const policy::Policy& policy;
};

bool Within(std::string_view tree, std::string_view path) {
  return krux_path_within(tree.data(), tree.size(), path.data(), path.size());
}

bool WithinOne(const std::vector<std::string>& trees, std::string_view path) {
  return std::ranges::any_of(trees, [&](const std::string& tree) { return Within(tree, path); });
}

// What of `trees` lies in WORK: the only tree of a session's own that its template holds.
std::vector<std::string> InWork(const std::vector<std::string>& trees, const std::string& work) {
  std::vector<std::string> inside;
  for (const std::string& tree : trees) {
    if (Within(tree, work)) return {work};
    if (Within(work, tree)) inside.push_back(tree);
  }
  return inside;
}

bool MayWrite(const policy::Policy& policy) {
  return policy.authority.levels[static_cast<int>(policy::Dimension::kWriteFiles)] !=
         policy::Level::kNever;
}

// Programs that lie in WORK can be started only where every clause allows any command: a list of
// commands names programs of the program trees, and WORK is what the agent wrote.
bool AnyCommand(const policy::Scope& exec) {
  const auto any = [](const policy::Clause& clause) {
    const auto every = [](const policy::Pattern& pattern) {
      return pattern.parts == std::vector<std::string>{"**"};
    };
    return clause.deny.empty() && (clause.any || std::ranges::any_of(clause.allow, every));
  };
  return !exec.clauses.empty() && std::ranges::all_of(exec.clauses, any);
}

sandbox::PathRule& RuleFor(std::vector<sandbox::PathRule>& rules, const std::string& path) {
  const auto found = std::ranges::find(rules, path, &sandbox::PathRule::path);
  if (found != rules.end()) return *found;
  return rules.emplace_back(sandbox::PathRule{path});
}

std::string Words(const std::vector<std::string>& argv) {
  std::string words;
  for (const std::string& word : argv) words += (words.empty() ? "" : " ") + word;
  return words;
}

std::vector<std::string> Argv(const cbor::Map& args) {
  std::vector<std::string> argv;
  const cbor::Value* list = args.Find("argv");
  if (list == nullptr || list->array() == nullptr) return argv;
  for (const cbor::Value& word : *list->array()) {
    if (word.text() != nullptr) argv.push_back(*word.text());
  }
  return argv;
}

std::string Text(const cbor::Map& args, const char* name) {
  const cbor::Value* value = args.Find(name);
  return value != nullptr && value->text() != nullptr ? *value->text() : "";
}

// A call without an identity argument names nothing that an operator could have meant.
bool Endorsed(const Capability& capability, const cbor::Map& args,
              const std::vector<std::string>& values) {
  bool named = false;
  for (const Arg& arg : capability.args) {
    if (!arg.identity) continue;
    named = true;
    if (std::ranges::find(values, Text(args, std::string(arg.name).c_str())) == values.end())
      return false;
  }
  return named;
}

void AddBit(policy::Call& call, policy::Membership in, std::string value, const char* scope) {
  call.scopes.push_back({in.inside, std::move(in.rule), std::move(value), scope});
}

void AddPathBits(policy::Call& call, const policy::Policy& policy, const std::string& path,
                 const std::string& work) {
  AddBit(call, policy::CheckPath(policy.read_paths, path), path, "paths.read");
  if (call.scopes.back().inside && !Within(work, path)) {
    AddBit(call, {false, "sandbox.work"}, path, "WORK");
  }
  policy::Membership secret = policy::CheckSecret(policy.secret_paths, path);
  if (secret.inside) AddBit(call, {false, std::move(secret.rule)}, path, "paths.secret");
  if (policy::FirstMatch(policy.sensitive_paths, path) != nullptr)
    call.risk = std::max(call.risk, policy::Risk::kElevated);
}

// The policy's own rules about this one call: what denies is a scope that the call lies outside,
// what asks an obligation.
void ApplyRules(policy::Call& call, const policy::Policy& policy, const cbor::Map& args) {
  std::vector<policy::RuleArgument> texts;
  const std::string words = Words(Argv(args));
  for (const auto& [key, value] : args) {
    if (key.text() == nullptr) continue;
    if (value.text() != nullptr) texts.push_back({*key.text(), *value.text()});
    if (*key.text() == "argv") texts.push_back({"argv", words});
  }
  for (const policy::Rule& rule : policy.rules) {
    if (!policy::Applies(rule, call.capability, texts)) continue;
    if (rule.then == policy::Verdict::kAsk && call.obliged_rule.empty())
      call.obliged_rule = rule.rule;
    if (rule.then == policy::Verdict::kDeny) {
      const std::string condition = rule.text.empty() ? "always" : rule.text;
      AddBit(call, {false, rule.rule}, condition, "rule");
      return;
    }
  }
}

void PlanFiles(Plan& plan, const Capability& capability, const policy::Policy& policy,
               const cbor::Map& args, const PlanSession& session) {
  const std::string& work = session.work;
  plan.call.contribution = capability.brings;
  if (args.Find("path") == nullptr) return;  // it is about no file, and gets none
  plan.path = Text(args, "path");
  AddPathBits(plan.call, policy, plan.path, work);
  plan.call.contribution |= LegsOfFile(policy, session.labels, session.place, plan.path);
  // The whole of WORK and not the one path: a link inside it may lead anywhere else inside it. The
  // worker matches the scope again on what it found.
  plan.spec.landlock = {{work, true, false, false}};
}

// The trees that `path` may be written in: those of the scope that hold it, and WORK where only a
// pattern that is no tree covers it (the worker matches the scope again on what it found).
std::vector<std::string> WriteTrees(const policy::Policy& policy, const std::string& path,
                                    const std::string& work) {
  std::vector<std::string> trees = InWork(policy::Trees(policy.write_paths), work);
  std::erase_if(trees, [&](const std::string& tree) { return !Within(tree, path); });
  return trees.empty() ? std::vector<std::string>{work} : trees;
}

void PlanWrite(Plan& plan, const policy::Policy& policy, const cbor::Map& args,
               const PlanSession& session) {
  const std::string& work = session.work;
  const std::string& path = plan.path = Text(args, "path");
  AddBit(plan.call, policy::CheckPath(policy.write_paths, path), path, "paths.write");
  // What is replaced is read first, and its digest goes to the caller.
  AddPathBits(plan.call, policy, path, work);
  plan.call.contribution = LegsOfFile(policy, session.labels, session.place, path);
  const policy::Risk risk = WriteRisk(path, work);
  plan.call.risk = std::max(plan.call.risk, risk);
  // Others run such a file by themselves: what it says leaves the sandbox.
  if (risk != policy::Risk::kLow) plan.call.contribution |= policy::kExfilVector;
  for (std::string& tree : WriteTrees(policy, path, work))
    plan.spec.landlock.push_back({std::move(tree), true, true, false});
  plan.template_spec.work_writable = true;
}

// Content that comes as a descriptor: bound as {"bytes", "sha256"}.
void PlanInput(sandbox::Spec& spec, const Capability& capability, const cbor::Map& args) {
  const Arg* arg = ContentOf(capability);
  const cbor::Value* content = arg != nullptr ? args.Find(arg->name) : nullptr;
  if (content == nullptr || content->map() == nullptr) return;
  const cbor::Value* bytes = content->map()->Find("bytes");
  spec.has_input = true;
  spec.input_bytes = bytes != nullptr && bytes->uint() != nullptr ? *bytes->uint() : 0;
}

Result<void> PlanProgram(Plan& plan, const policy::Policy& policy, const cbor::Map& args,
                         const std::string& work) {
  const std::vector<std::string> argv = Argv(args);
  policy::Call& call = plan.call;
  AddBit(call, policy::CheckArgv(policy.exec, argv), Words(argv), "exec.allow");
  call.risk = call.scopes.back().inside ? policy::Risk::kLow : policy::Risk::kElevated;
  AddPathBits(call, policy, Text(args, "cwd"), work);

  std::vector<sandbox::PathRule>& rules = plan.spec.landlock;
  const bool any_command = AnyCommand(policy.exec);
  for (const std::string& tree : InWork(policy::Trees(policy.read_paths), work)) {
    sandbox::PathRule& rule = RuleFor(rules, tree);
    rule.read = true;
    rule.exec = any_command;
  }
  // [paths] write alone: the level of write_files is about krux's own calls. So a test runner's
  // programs can write build/ although no call writes anything.
  for (const std::string& tree : InWork(policy::Trees(policy.write_paths), work)) {
    RuleFor(rules, tree).write = true;
  }
  for (const sandbox::PathRule& rule : rules) {
    plan.template_spec.work_writable |= rule.write;
    plan.template_spec.work_exec |= rule.exec;
  }
  plan.template_spec.program_trees = policy.program_trees;
  plan.template_spec.secrets = KRUX_TRY(EncodeSecrets(policy.secret_paths));
  for (const std::string& tree : policy.program_trees) {
    sandbox::PathRule& rule = RuleFor(rules, tree);
    rule.read = true;
    rule.exec = true;
  }
  if (const cbor::Value* timeout = args.Find("timeout_ms");
      timeout != nullptr && timeout->uint() != nullptr) {
    plan.spec.limits.wall_ms = std::max<uint64_t>(*timeout->uint(), 1);
  }
  return {};
}

bool SamePatterns(const policy::Scope& a, const policy::Scope& b) {
  const auto same_clause = [](const policy::Clause& x, const policy::Clause& y) {
    const auto same = [](const std::vector<policy::Pattern>& p, const auto& q) {
      return std::ranges::equal(p, q, {}, &policy::Pattern::parts, &policy::Pattern::parts);
    };
    return x.any == y.any && same(x.allow, y.allow) && same(x.deny, y.deny);
  };
  return std::ranges::equal(a.clauses, b.clauses, same_clause);
}

// Does the worker keep links out of what is secret, and out of what is sensitive where the call was
// not judged as such?
bool KeepsOut(const Request& request, const policy::Policy& policy) {
  const auto same = [](const std::vector<policy::Pattern>& a,
                       const std::vector<policy::Pattern>& b) {
    return std::ranges::equal(a, b, {}, &policy::Pattern::parts, &policy::Pattern::parts);
  };
  return same(request.secrets, policy.secret_paths) &&
         (same(request.sensitive, policy.sensitive_paths) ||
          policy::FirstMatch(policy.sensitive_paths, Text(request.args, "path")) != nullptr);
}

// Is one rule of the Spec within what `policy` grants to this class of work?
bool Granted(const sandbox::PathRule& rule, const sandbox::Spec& spec, const policy::Policy& policy,
             const std::string& work) {
  if (spec.work_class == sandbox::WorkClass::kExec && !rule.write &&
      WithinOne(policy.program_trees, rule.path)) {
    return true;
  }
  if (!Within(work, rule.path)) return false;
  if (spec.work_class == sandbox::WorkClass::kFs) {
    // A built-in call reads what its request's scope covers, whatever the tree around it.
    const Result<Request> request = DecodeRequest(spec.request);
    return request && !rule.write && !rule.exec &&
           SamePatterns(request->read_scope, policy.read_paths) && KeepsOut(*request, policy);
  }
  if (spec.work_class == sandbox::WorkClass::kWrite) {
    const Result<Request> request = DecodeRequest(spec.request);
    return request && !rule.exec && MayWrite(policy) &&
           SamePatterns(request->read_scope, policy.read_paths) &&
           SamePatterns(request->write_scope, policy.write_paths) && KeepsOut(*request, policy);
  }
  if (rule.read && !WithinOne(policy::Trees(policy.read_paths), rule.path)) return false;
  if (rule.write && !WithinOne(policy::Trees(policy.write_paths), rule.path)) return false;
  return !rule.exec || AnyCommand(policy.exec);
}

// A program's private /tmp is a rule for all beneath /tmp, and Landlock grants what any directory
// above is granted: a WORK that lies there is open as a whole, whatever trees of it the rules name.
bool OpenedByTmp(const sandbox::Spec& spec, const std::string& work) {
  if (spec.work_class != sandbox::WorkClass::kExec || !Within("/tmp", work)) return false;
  bool reads = false, writes = false, all_writable = false;
  for (const sandbox::PathRule& rule : spec.landlock) {
    reads |= rule.read && rule.path == work;
    all_writable |= rule.write && rule.path == work;
    writes |= rule.write;
  }
  return !reads || (writes && !all_writable);
}

}  // namespace

policy::Footprint FootprintOf(const sandbox::Spec& spec, const policy::Policy& policy,
                              const PlanSession& session) {
  const std::string& work = session.work;
  const Bound bound_policy(policy, work);
  const policy::Policy& bound = bound_policy.policy;
  policy::Footprint footprint;
  footprint.runs_program = spec.work_class == sandbox::WorkClass::kExec;
  footprint.layers = spec.required & ~spec.degraded;
  for (const sandbox::PathRule& rule : spec.landlock) {
    footprint.writes |= rule.write;
    footprint.within_grants &= Granted(rule, spec, bound, work);
  }
  footprint.within_grants &= !OpenedByTmp(spec, work);
  const policy::Exposure legs = LegsOfSpec(spec, bound, session);
  footprint.reads_private = (legs & policy::kPrivateData) != 0;
  footprint.reads_untrusted = (legs & policy::kUntrustedContent) != 0;
  return footprint;
}

std::vector<LabelledPath> WritableTrees(const sandbox::Spec& spec, const std::string& work) {
  std::vector<LabelledPath> trees;
  for (const sandbox::PathRule& rule : spec.landlock) {
    if (rule.write && Within(work, rule.path)) trees.push_back({rule.path, true});
  }
  return trees;
}

Result<Plan> MakePlan(const Capability& capability, const cbor::Map& args,
                      const policy::Policy& policy, const PlanSession& session) {
  const Bound bound_policy(policy, session.work);
  const policy::Policy& bound = bound_policy.policy;
  Plan plan;
  plan.call.capability = capability.name;
  plan.call.dimension = capability.dimension;
  plan.call.risk = capability.risk;
  plan.call.endorsed = Endorsed(capability, args, session.endorsed);
  AddBit(plan.call, policy::CheckName(bound.capabilities, capability.name),
         std::string(capability.name), "capabilities.allow");

  ApplyRules(plan.call, bound, args);

  sandbox::Spec& spec = plan.spec;
  spec.session_id = session.session_id;
  spec.generation = session.generation;
  spec.work_class = capability.work_class;
  spec.limits = session.limits;
  spec.degraded = session.degraded;
  spec.required = sandbox::kAllLayers & ~session.degraded;
  plan.template_spec.session_id = session.session_id;
  plan.template_spec.generation = session.generation;
  plan.template_spec.work_class = capability.work_class;

  PlanInput(spec, capability, args);
  Request request{std::string(capability.name), args, {}, bound.read_paths};
  request.secrets = bound.secret_paths;
  // What is sensitive itself was judged so; anything else must not lead to what is.
  if (policy::FirstMatch(bound.sensitive_paths, Text(args, "path")) == nullptr)
    request.sensitive = bound.sensitive_paths;
  if (capability.work_class == sandbox::WorkClass::kWrite) {
    request.write_scope = bound.write_paths;
    request.work = session.work;
    PlanWrite(plan, bound, args, session);
    PlanLabels(plan, bound, session);
    request.as_named = !plan.labels.empty();
  } else if (capability.work_class == sandbox::WorkClass::kExec) {
    if (args.Find("cwd") == nullptr) request.args.Set("cwd", session.work);
    KRUX_TRY(PlanProgram(plan, bound, request.args, session.work));
    // Programs are bounded by the kernel's rules alone, and by the masks over what is secret.
    request.read_scope = {};
    request.secrets = {};
    request.sensitive = {};
  } else {
    PlanFiles(plan, capability, bound, args, session);
  }
  for (const sandbox::PathRule& rule : spec.landlock) {
    request.grants.push_back({rule.path, rule.read, rule.write, rule.exec});
  }
  spec.request = KRUX_TRY(EncodeRequest(request));

  plan.footprint = FootprintOf(spec, bound, session);
  if (plan.footprint.runs_program) {
    // A program's exposure is what its sandbox lets it see, not what its arguments say.
    if (plan.footprint.reads_private) plan.call.contribution |= policy::kPrivateData;
    if (plan.footprint.reads_untrusted) plan.call.contribution |= policy::kUntrustedContent;
    if (plan.footprint.network)
      plan.call.contribution |= policy::kUntrustedContent | policy::kExfilVector;
    PlanLabels(plan, bound, session);
  }
  return plan;
}

Result<void> CheckRules(const policy::Policy& policy) {
  std::vector<policy::CallNames> calls;
  for (const Capability& capability : Catalog()) {
    policy::CallNames& call = calls.emplace_back(policy::CallNames{capability.name, {}});
    for (const Arg& arg : capability.args) {
      if (arg.type != ArgType::kUint && arg.type != ArgType::kContent)
        call.text_arguments.push_back(arg.name);
    }
  }
  return policy::CheckRules(policy.rules, calls);
}

}  // namespace krux::runtime
