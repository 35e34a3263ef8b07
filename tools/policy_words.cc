// PolicyInWords: sentences, most important first. Each dimension is named exactly once.
#include <algorithm>

#include "base/terminal.h"
#include "policy/policy_keys.h"
#include "policy/policy_values.h"
#include "tools/policy_text.h"

namespace krux::tools {
namespace {

using policy::Clause;
using policy::Dimension;
using policy::Level;
using policy::Pattern;
using policy::Policy;
using policy::Scope;

constexpr size_t kColumns = 100;
constexpr size_t kIndent = 4;

using Words = std::vector<std::string>;

// Text wrapped at blanks, behind the indent of `head`.
std::string Wrapped(std::string head, std::string_view text) {
  const std::string blank(head.size(), ' ');
  std::string all, line = std::move(head);
  bool first = true;
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!first && line.size() + 1 + word.size() > kColumns) {
      all += line + "\n";
      line = blank;
      first = true;
    }
    line.append(first ? "" : " ").append(word);
    first = false;
  }
  return all + line + "\n";
}

std::string Joined(const Words& words, const char* between = ", ") {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

// "the whole workspace" or the pattern as a person would say it.
std::string PathWords(const Pattern& pattern) {
  constexpr std::string_view kWork = "${WORK}/";
  if (pattern.text == "${WORK}/**") return "the whole workspace";
  const bool in_work = std::string_view(pattern.text).starts_with(kWork);
  return EscapeLine(in_work ? std::string_view(pattern.text).substr(kWork.size()) : pattern.text);
}

std::string PlainWords(const Pattern& pattern) { return EscapeLine(pattern.text); }

std::string CommandWords(const Pattern& pattern) {
  if (pattern.parts == Words{"**"}) return "any command";
  Words words;
  for (const std::string& part : pattern.parts)
    words.push_back(part == "**" ? "…" : EscapeLine(part));
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return "`" + text + "`";
}

using Say = std::string (*)(const Pattern&);

Words Each(const std::vector<Pattern>& patterns, Say say) {
  Words words;
  for (const Pattern& pattern : patterns) words.push_back(say(pattern));
  return words;
}

bool Nothing(const Scope& scope) {
  return scope.clauses.empty() || std::ranges::any_of(scope.clauses, [](const Clause& clause) {
           return !clause.any && clause.allow.empty();
         });
}

// What a scope covers; `anything` for one that is not limited. Clauses that repeat each other, as
// those of a policy and its ceiling do, are said once.
std::string Covered(const Scope& scope, Say say, const std::string& anything) {
  if (Nothing(scope)) return "nothing";
  Words parts, excepted;
  for (const Clause& clause : scope.clauses) {
    const std::string text = Joined(Each(clause.allow, say));
    if (!clause.any && std::ranges::find(parts, text) == parts.end()) parts.push_back(text);
    for (const std::string& word : Each(clause.deny, say))
      if (std::ranges::find(excepted, word) == excepted.end()) excepted.push_back(word);
  }
  std::string text = parts.empty() ? anything : Joined(parts, "; of that only ");
  if (!excepted.empty()) text += "; but not " + Joined(excepted);
  return text;
}

std::string_view What(Dimension dimension) {
  const std::string_view name = policy::DimensionNames()[static_cast<size_t>(dimension)];
  for (const policy::Key& key : policy::Keys())
    if (key.table == "levels" && key.name == name) return key.help;
  return name;
}

// Where a dimension is at home: its scope, in words. Empty where it has none.
std::string Where(const Policy& policy, Dimension dimension) {
  const std::string host = Covered(policy.hosts, PlainWords, "any host");
  switch (dimension) {
    case Dimension::kReadFiles:
    case Dimension::kGlobSearch:
    case Dimension::kGrepSearch:
      return "in " + Covered(policy.read_paths, PathWords, "any path");
    case Dimension::kWriteFiles:
    case Dimension::kEditFiles:
      return "in " + Covered(policy.write_paths, PathWords, "any path");
    case Dimension::kRunExec:
      return Covered(policy.exec, CommandWords, "any command");
    case Dimension::kWebFetch:
      return "at " + host;
    case Dimension::kGitPush:
      return "to " + Covered(policy.refs, PlainWords, "any ref");
    case Dimension::kSecretUse:
    case Dimension::kSecretRead:
      return "namely " + Covered(policy.secret_names, PlainWords, "any secret");
    case Dimension::kMcpCall:
      return "namely " + Covered(policy.mcp_tools, PlainWords, "any tool");
    default:
      return "";
  }
}

bool Covers(const Policy& policy, Dimension dimension) {
  switch (dimension) {
    case Dimension::kReadFiles:
    case Dimension::kGlobSearch:
    case Dimension::kGrepSearch:
      return !Nothing(policy.read_paths);
    case Dimension::kWriteFiles:
    case Dimension::kEditFiles:
      return !Nothing(policy.write_paths);
    case Dimension::kRunExec:
      return !Nothing(policy.exec);
    case Dimension::kWebFetch:
      return !Nothing(policy.hosts);
    case Dimension::kGitPush:
      return !Nothing(policy.refs);
    case Dimension::kSecretUse:
    case Dimension::kSecretRead:
      return !Nothing(policy.secret_names);
    case Dimension::kMcpCall:
      return !Nothing(policy.mcp_tools);
    default:
      return true;
  }
}

enum class Group { kFree, kLowRisk, kAsks, kNever };

Group GroupOf(const Policy& policy, int index) {
  const Level level = policy.authority.levels[index];
  if (level == Level::kNever || !Covers(policy, Dimension(index))) return Group::kNever;
  if ((policy.obligations >> index & 1) != 0) return Group::kAsks;
  // To see a secret is critical, and what is critical asks even at `always`.
  if (Dimension(index) == Dimension::kSecretRead) return Group::kAsks;
  return level == Level::kAlways ? Group::kFree : Group::kLowRisk;
}

std::string Granted(const Policy& policy, Group group, const char* title) {
  std::string text;
  for (int i = 0; i < policy::kDimensions; ++i) {
    if (GroupOf(policy, i) != group) continue;
    std::string what(What(Dimension(i)));
    what.resize(std::max<size_t>(what.size() + 2, 32), ' ');
    const std::string where = Where(policy, Dimension(i));
    while (where.empty() && what.ends_with(' ')) what.pop_back();
    text += Wrapped(std::string(kIndent, ' ') + what, where);
  }
  return text.empty() ? "" : std::string(title) + "\n" + text + "\n";
}

std::string Denied(const Policy& policy) {
  std::string text;
  for (int i = 0; i < policy::kDimensions; ++i) {
    if (GroupOf(policy, i) != Group::kNever) continue;
    text += std::string(kIndent, ' ') + std::string(What(Dimension(i)));
    if (policy.authority.levels[i] != Level::kNever) text += "  (granted, but nowhere)";
    text += "\n";
  }
  return text.empty() ? "" : "It may never\n" + text + "\n";
}

std::string Programs(const Policy& policy) {
  if (GroupOf(policy, static_cast<int>(Dimension::kRunExec)) == Group::kNever) return "";
  const std::string indent(kIndent, ' ');
  // Only whole trees can be given to a program.
  const auto tree = [](const Pattern& pattern) {
    return pattern.parts.empty() || pattern.parts.back() != "**";
  };
  Scope read = policy.read_paths, write = policy.write_paths;
  for (Scope* scope : {&read, &write})
    for (Clause& clause : scope->clauses) std::erase_if(clause.allow, tree);
  std::string text = "Programs that it runs\n" + indent + "have no network\n";
  text += Wrapped(indent + "read    ", Covered(read, PathWords, "the whole workspace"));
  text += Wrapped(indent + "write   ", Covered(write, PathWords, "the whole workspace"));
  Words trees;
  for (const std::string& path : policy.program_trees) trees.push_back(EscapeLine(path));
  if (!trees.empty()) text += Wrapped(indent + "see     ", Joined(trees));
  return text + "\n";
}

std::string Files(const Policy& policy) {
  const std::string indent(kIndent, ' ');
  std::string text;
  const auto add = [&](const char* title, const Words& words) {
    if (!words.empty()) text += std::string(title) + "\n" + Wrapped(indent, Joined(words)) + "\n";
  };
  Words secret, sensitive;
  for (const Pattern& pattern : policy.secret_paths) secret.push_back(EscapeLine(pattern.text));
  for (const Pattern& pattern : policy.sensitive_paths)
    sensitive.push_back(EscapeLine(pattern.text));
  add("Neither it nor its programs read or write", secret);
  add("Reading these is never of low risk", sensitive);
  if (!Nothing(policy.public_paths))
    add("Reading these counts as harmless", {Covered(policy.public_paths, PathWords, "any file")});
  if (!Nothing(policy.exact_urls))
    add("Fetching exactly these carries nothing out", {Covered(policy.exact_urls, PlainWords, "")});
  return text;
}

std::string Calls(const Policy& policy) {
  std::string text;
  const std::string indent(kIndent, ' ');
  const std::string names = Covered(policy.capabilities, PlainWords, "");
  if (!names.empty()) text += "Of all calls only\n" + Wrapped(indent, names) + "\n";
  if (policy.rules.empty()) return text;
  text += "Rules\n";
  for (const policy::Rule& rule : policy.rules) {
    const bool deny = rule.then == policy::Verdict::kDeny;
    text += indent + EscapeLine(rule.when.text) + (deny ? " is denied" : " asks") +
            (rule.text.empty() ? "" : " if " + EscapeLine(rule.text)) + "\n";
  }
  return text + "\n";
}

std::string Seen(const Policy& policy) {
  const auto says = [](const policy::Mode& mode) {
    return mode.verdict == policy::Verdict::kDeny ? "is denied" : "asks first";
  };
  return "Once it has seen private data and untrusted content\n    whatever could carry data out " +
         std::string(says(policy.trifecta)) +
         "\nOnce it has seen untrusted content\n    whatever has effects beyond the workspace " +
         says(policy.trusted_action) + "\n\n";
}

std::string Limits(const Policy& policy) {
  const auto set = [&](policy::Bound bound) { return bound.value != policy::kUnlimited; };
  const auto& budget = policy.budget;
  Words words;
  if (set(policy.window_ms))
    words.push_back("is open for " + policy::ShowDuration(policy.window_ms.value));
  if (set(budget[0]))
    words.push_back("makes at most " + std::to_string(budget[0].value) + " calls");
  if (set(budget[1]))
    words.push_back("lets them run for " + policy::ShowDuration(budget[1].value) + " in all");
  if (set(budget[2]))
    words.push_back("uses at most " + policy::ShowDuration(budget[2].value) + " of processor time");
  if (set(budget[3])) words.push_back("takes in at most " + policy::ShowBytes(budget[3].value));
  if (set(budget[4])) words.push_back("gives out at most " + policy::ShowBytes(budget[4].value));
  if (set(budget[5])) {
    words.push_back("costs at most " + policy::ShowMoney(budget[5].value) +
                    " US dollars, as its client reports");
  }
  if (set(budget[6]))
    words.push_back("reads at most " + std::to_string(budget[6].value) +
                    " tokens, as its client reports");
  if (set(budget[7])) {
    words.push_back("writes at most " + std::to_string(budget[7].value) +
                    " tokens, as its client reports");
  }
  if (policy.not_before_ms.value != 0)
    words.push_back("does nothing before " + policy::ShowTime(policy.not_before_ms.value));
  if (set(policy.not_after_ms))
    words.push_back("does nothing after " + policy::ShowTime(policy.not_after_ms.value));
  const uint64_t depth = policy.delegate_depth.value;
  words.push_back(depth == 0
                      ? "starts no other agents"
                      : "has at most " + std::to_string(depth) + " generations of agents below it");
  std::string text = "A session\n";
  for (const std::string& word : words) text += std::string(kIndent, ' ') + word + "\n";
  return text + "\n";
}

std::string Layers(const Policy& policy) {
  Words words;
  for (const std::string_view name : policy::LayerNames()) {
    if ((policy.authority.required_layers & policy::LayerBit(name)) != 0) words.emplace_back(name);
  }
  if (words.empty()) words = {"those that the gateway requires"};
  return "Layers of the sandbox that must hold whatever the operator lets be missing\n" +
         Wrapped(std::string(kIndent, ' '), Joined(words));
}

}  // namespace

std::string PolicyInWords(const Policy& policy) {
  std::string text = policy.name + "\n";
  if (!policy.about.empty()) text += Wrapped("    ", EscapeLine(policy.about));
  text += "\n";
  text += Granted(policy, Group::kFree, "It may, without asking");
  text += Granted(policy, Group::kLowRisk,
                  "It may if the risk is low, and asks first otherwise (krux cap ls)");
  text += Granted(policy, Group::kAsks, "It may, but asks each time");
  text += Denied(policy) + Programs(policy) + Files(policy) + Calls(policy) + Seen(policy) +
          Limits(policy) + Layers(policy);
  return text;
}

}  // namespace krux::tools
