// krux policy show|check|schema: what a policy comes to, and whether a file is one. Asks no
// gateway.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/terminal.h"
#include "base/unique_fd.h"
#include "gateway/client/ensure.h"
#include "gateway/supervisor/policy_folder.h"
#include "policy/policy_set.h"
#include "policy/schema.h"
#include "runtime/plan.h"
#include "tools/command.h"
#include "tools/json.h"
#include "tools/policy_text.h"

namespace krux::tools {
namespace {

constexpr size_t kMaxFiles = 256;  // of a folder of policies

Result<std::string> ReadPolicy(const std::string& path) {
  // Not blocking: a name may be that of a pipe.
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status = {};
  if (!fd.valid() || fstat(fd.get(), &status) != 0)
    return SysError(ExitCode::kNotFound, "open `" + EscapeLine(path) + "`", errno);
  if (!S_ISREG(status.st_mode)) {
    return Fail(ExitCode::kConfig, "policy", "`" + EscapeLine(path) + "` is not a regular file");
  }
  std::string text;
  char buffer[16 * 1024];
  // One byte more than a policy may have tells the reader that there is more.
  while (text.size() <= policy::kMaxPolicyBytes) {
    const ssize_t got = read(fd.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SysError(ExitCode::kNotFound, "read `" + EscapeLine(path) + "`", errno);
    if (got == 0) break;
    text.append(buffer, static_cast<size_t>(got));
  }
  return text;
}

// The other files of the folder: `extends` may name them by what they are called without `.toml`.
std::vector<policy::PolicySource> Neighbours(const std::filesystem::path& path) {
  std::vector<policy::PolicySource> others;
  std::error_code error;
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    if (it->path().extension() != ".toml" || it->path().filename() == path.filename()) continue;
    if (others.size() == kMaxFiles) break;
    Result<std::string> text = ReadPolicy(it->path().string());
    if (text) others.push_back(policy::OperatorFile(it->path().filename().string(), *text));
  }
  return others;
}

bool IsFile(const std::string& word) {
  return word.find('/') != std::string::npos || word.ends_with(".toml");
}

struct Loaded {
  std::string text;  // as written
  policy::Policy policy;
};

// A name: a shipped profile, or a file of the operator's.
Result<Loaded> LoadNamed(const std::string& name) {
  const gateway::GatewayPaths paths = KRUX_TRY(gateway::FindGatewayPaths());
  const auto files = KRUX_TRY(gateway::ReadPolicyFolder(gateway::PolicyFolder(paths.config_file)));
  const policy::PolicySet set = KRUX_TRY(policy::PolicySet::Parse(files));
  policy::Policy policy = KRUX_TRY(set.Find(name));
  std::string text(policy::ProfileText(name));
  for (const policy::PolicySource& file : set.files())
    if (file.name == name) text = file.text;
  return Loaded{std::move(text), std::move(policy)};
}

Result<Loaded> Load(const std::string& word) {
  // A shipped profile is there whatever the operator's files look like.
  if (!policy::ProfileText(word).empty())
    return Loaded{std::string(policy::ProfileText(word)), KRUX_TRY(policy::FindProfile(word))};
  if (!IsFile(word)) return LoadNamed(word);
  std::string text = KRUX_TRY(ReadPolicy(word));
  const std::filesystem::path path(word);
  const std::vector<policy::PolicySource> others = Neighbours(path);
  policy::Policy policy =
      KRUX_TRY(policy::ParsePolicy(text, EscapeLine(path.filename().string()), others));
  KRUX_TRY(runtime::CheckRules(policy));
  return Loaded{std::move(text), std::move(policy)};
}

}  // namespace

int RunPolicyShow(const PolicyOptions& options) {
  const Output out(options.format);
  const Result<Loaded> loaded = Load(options.policy);
  if (!loaded) return out.Complain(loaded.error());
  if (out.structured()) {
    out.Value(PolicyAsData(loaded->policy));
  } else if (options.effective) {
    out.Text(PolicyInWords(loaded->policy));
  } else {
    out.Bytes(loaded->text);
  }
  return 0;
}

int RunPolicyCheck(const PolicyOptions& options) {
  const Output out(options.format);
  // A word without `/` is a file here too: the shipped ones need no check.
  const Result<Loaded> loaded =
      Load(IsFile(options.policy) ? options.policy : "./" + options.policy);
  if (!loaded) return out.Complain(loaded.error());
  const policy::Policy& policy = loaded->policy;
  if (out.structured()) {
    out.Value(cbor::Map{{"schema", "krux.policy_check/1"}, {"ok", true}, {"name", policy.name}});
    return 0;
  }
  std::string text = "`" + policy.name + "` is a policy";
  if (std::ranges::all_of(policy.authority.levels,
                          [](policy::Level level) { return level == policy::Level::kNever; })) {
    text += ", but it grants nothing: [levels] lists no dimension";
  }
  out.Text(text + "; krux policy show --effective says what it comes to\n");
  if (std::filesystem::path(options.policy).filename() != policy.name + ".toml") {
    out.Say("among an operator's policies the file must be called `" + policy.name + ".toml`");
  }
  return 0;
}

int RunPolicySchema(Format format) {
  const Output out(format);
  if (format == Format::kTable) {
    out.Text(policy::PolicySchema());
    return 0;
  }
  const Result<cbor::Value> schema = ParseJson(policy::PolicySchema());
  if (!schema) return out.Complain(schema.error());
  out.Value(*schema);
  return 0;
}

}  // namespace krux::tools
