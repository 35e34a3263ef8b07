#include "tools/arguments.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "base/path.h"
#include "base/terminal.h"
#include "base/unique_fd.h"
#include "runtime/catalog.h"
#include "tools/json.h"

namespace krux::tools {
namespace {

using runtime::Arg;
using runtime::ArgType;
using runtime::Capability;

constexpr std::string_view kStage = "arguments";

std::unexpected<Error> Bad(std::string message) {
  return Fail(ExitCode::kBadData, kStage, std::move(message));
}

// "name=value" with a name as the catalog writes them; a path such as ./a=b is none.
std::optional<std::pair<std::string, std::string>> SplitNamed(const std::string& word) {
  const size_t equals = word.find('=');
  if (equals == std::string::npos || equals == 0) return std::nullopt;
  const std::string name = word.substr(0, equals);
  if (name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") != std::string::npos) {
    return std::nullopt;
  }
  return std::pair(name, word.substr(equals + 1));
}

const Arg* FindArg(const Capability* capability, std::string_view name) {
  if (capability == nullptr) return nullptr;
  for (const Arg& arg : capability->args) {
    if (arg.name == name) return &arg;
  }
  return nullptr;
}

// What the word means where the catalog wants `type`.
Result<cbor::Value> Typed(ArgType type, const std::string& name, const std::string& word,
                          const std::string& cwd) {
  if (type == ArgType::kContent) return cbor::Value(cbor::Bytes(word.begin(), word.end()));
  if (!IsUtf8(word)) {
    return Bad("argument `" + name + "`: `" + EscapeLine(word) +
               "` is not UTF-8; krux names files in UTF-8 only");
  }
  switch (type) {
    case ArgType::kPath:
      return cbor::Value(KRUX_TRY(AbsolutePath(word, cwd)));
    case ArgType::kUint: {
      uint64_t number = 0;
      const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
      if (error != std::errc() || end != word.data() + word.size()) {
        return Bad("argument `" + name + "`: `" + EscapeLine(word) +
                   "` is not a whole number; write digits only");
      }
      return cbor::Value(number);
    }
    case ArgType::kTextList:
      return cbor::Value(cbor::Array{word});
    case ArgType::kText:
    case ArgType::kContent:
    case ArgType::kExpect:
      break;
  }
  return cbor::Value(word);
}

// Paths inside --args are relative to the cwd too.
Result<cbor::Value> FromJson(const Arg* arg, const cbor::Value& value, const std::string& cwd) {
  if (arg != nullptr && arg->type == ArgType::kPath && value.text() != nullptr) {
    return cbor::Value(KRUX_TRY(AbsolutePath(*value.text(), cwd)));
  }
  return value;
}

Result<void> Put(cbor::Map* args, const std::string& name, cbor::Value value) {
  if (args->Find(name) != nullptr) {
    return Bad("argument `" + EscapeLine(name) + "` is given twice; give it once");
  }
  args->Set(name, std::move(value));
  return {};
}

Result<void> PutList(const Capability* capability, const std::vector<std::string>& words,
                     cbor::Map* args) {
  if (words.empty()) return {};
  const Arg* list = nullptr;
  if (capability != nullptr) {
    for (const Arg& arg : capability->args) {
      if (arg.type == ArgType::kTextList) list = &arg;
    }
    if (list == nullptr) {
      return Bad("`" + std::string(capability->name) +
                 "` takes no words after `--`; see krux cap show");
    }
  }
  cbor::Array items;
  for (const std::string& word : words) {
    if (!IsUtf8(word)) {
      return Bad("`" + EscapeLine(word) + "` after `--` is not UTF-8; krux passes UTF-8 only");
    }
    items.emplace_back(word);
  }
  return Put(args, list != nullptr ? std::string(list->name) : "argv", std::move(items));
}

// The next required argument that has no value yet; null when none is left.
const Arg* NextPositional(const Capability* capability, const cbor::Map& args) {
  if (capability == nullptr) return nullptr;
  for (const Arg& arg : capability->args) {
    if (arg.required && args.Find(std::string(arg.name)) == nullptr) return &arg;
  }
  return nullptr;
}

}  // namespace

Result<std::string> AbsolutePath(std::string_view path, const std::string& cwd) {
  std::string joined(path);
  if (!path.empty() && path.front() != '/') joined = cwd + "/" + joined;
  char out[KRUX_PATH_SIZE];
  size_t length = 0;
  const krux_path_status status =
      krux_path_canonical(joined.data(), joined.size(), out, sizeof out, &length);
  if (status != KRUX_PATH_OK) {
    return Bad("path `" + EscapeLine(path.substr(0, 256)) + "` " + krux_path_status_text(status) +
               "; name a file by an ordinary path");
  }
  return std::string(out, length);
}

Result<cbor::Map> BuildArguments(std::string_view capability, const std::vector<std::string>& words,
                                 const std::vector<std::string>& after_dashes,
                                 const std::optional<cbor::Value>& json, const std::string& cwd) {
  const Capability* known = runtime::FindCapability(capability);
  cbor::Map args;
  if (json) {
    if (json->map() == nullptr)
      return Bad("--args must be a JSON object, such as {\"path\":\"a\"}");
    for (const auto& [name, value] : *json->map()) {
      const std::string& key = *name.text();
      cbor::Value converted = KRUX_TRY(FromJson(FindArg(known, key), value, cwd));
      KRUX_TRY(Put(&args, key, std::move(converted)));
    }
  }
  std::vector<std::string> positional;
  for (const std::string& word : words) {
    const auto named = SplitNamed(word);
    if (!named) {
      positional.push_back(word);
      continue;
    }
    const Arg* arg = FindArg(known, named->first);
    const ArgType type = arg != nullptr ? arg->type : ArgType::kText;
    cbor::Value value = KRUX_TRY(Typed(type, named->first, named->second, cwd));
    KRUX_TRY(Put(&args, named->first, std::move(value)));
  }
  KRUX_TRY(PutList(known, after_dashes, &args));
  for (const std::string& word : positional) {
    const Arg* arg = NextPositional(known, args);
    if (arg == nullptr) {
      if (known == nullptr)
        continue;  // the gateway answers about the capability, not about its words
      return Bad("`" + EscapeLine(word) + "` is one word too many for `" + std::string(capability) +
                 "`; name the argument: name=value");
    }
    const std::string name(arg->name);
    cbor::Value value = KRUX_TRY(Typed(arg->type, name, word, cwd));
    KRUX_TRY(Put(&args, name, std::move(value)));
  }
  return args;
}

Result<cbor::Value> ReadJsonArguments(const std::string& source) {
  if (source != "-" && !source.starts_with("@")) return ParseJson(source);
  UniqueFd file;
  int fd = STDIN_FILENO;
  const std::string path = source == "-" ? "stdin" : source.substr(1);
  if (source != "-") {
    file.reset(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    if (!file.valid()) {
      return SysError(errno == ENOENT ? ExitCode::kNotFound : ExitCode::kBadData,
                      "open `" + EscapeLine(path) + "`", errno, "--args takes @file, - or JSON");
    }
    fd = file.get();
  }
  std::string text;
  char buffer[16 * 1024];
  while (text.size() <= kMaxJsonBytes) {
    const ssize_t got = read(fd, buffer, sizeof buffer);
    if (got == 0) return ParseJson(text);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SysError(ExitCode::kBadData, "read `" + EscapeLine(path) + "`", errno);
    text.append(buffer, static_cast<size_t>(got));
  }
  return ParseJson(text);  // longer than allowed: says so
}

}  // namespace krux::tools
