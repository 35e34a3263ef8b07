#include "runtime/catalog.h"

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <vector>

#include "base/path.h"
#include "policy/nearest.h"

namespace krux::runtime {
namespace {

constexpr uint64_t kMaxOffset = 1ull << 62;  // off_t, with room for one read behind it
constexpr uint64_t kMaxRead = 16ull << 20;   // the data part of a result
constexpr uint64_t kMaxPathBytes = KRUX_PATH_SIZE - 1;
constexpr uint64_t kMaxEntries = 1000;
constexpr uint64_t kMaxWords = 256;
constexpr size_t kMaxArgvBytes = 32 * 1024;  // all words together
constexpr uint64_t kMaxTimeoutMs = 600'000;
constexpr uint64_t kMaxInline = 16 * 1024;  // content in the call itself; a Request holds 40 KiB
constexpr size_t kDigestDigits = 64;

constexpr Arg kReadArgs[] = {
    {"path", ArgType::kPath, true, kMaxPathBytes, 0, "the file, an absolute path", true},
    {"offset", ArgType::kUint, false, kMaxOffset, 0, "first byte to read"},
    {"limit", ArgType::kUint, false, kMaxRead, kMaxRead, "most bytes to read"},
};
constexpr Arg kListArgs[] = {
    {"path", ArgType::kPath, true, kMaxPathBytes, 0, "the directory, an absolute path", true},
    {"offset", ArgType::kUint, false, kMaxOffset, 0,
     "entries to skip, in the order of their names"},
    {"limit", ArgType::kUint, false, kMaxEntries, kMaxEntries, "most entries to return"},
};
constexpr Arg kStatArgs[] = {
    {"path", ArgType::kPath, true, kMaxPathBytes, 0, "the file or directory, an absolute path",
     true},
};
constexpr Arg kWriteArgs[] = {
    {"path", ArgType::kPath, true, kMaxPathBytes, 0, "the file, an absolute path", true},
    {"content", ArgType::kContent, true, kMaxInline, 0, "what the file holds afterwards, whole"},
    {"expect", ArgType::kExpect, false, kDigestDigits, 0,
     "what the file must be now: `absent`, or the SHA-256 of its content; without it, anything"},
};
constexpr Arg kExecArgs[] = {
    {"argv", ArgType::kTextList, true, kMaxWords, 0,
     "the program and its arguments; no shell reads them"},
    {"cwd", ArgType::kPath, false, kMaxPathBytes, 0, "working directory; without it, WORK"},
    {"timeout_ms", ArgType::kUint, false, kMaxTimeoutMs, 30'000,
     "milliseconds until SIGTERM; what is left a second later is killed, children and all"},
    {"stdin", ArgType::kContent, false, kMaxInline, 0,
     "what the program reads from its standard input; without it, nothing"},
};

#ifdef KRUX_TEST_HOOKS
constexpr Arg kTestSendArgs[] = {
    {"to", ArgType::kText, false, kMaxPathBytes, 0, "to whom", true},
};
#endif

using policy::Dimension;
using policy::Risk;
using sandbox::WorkClass;

constexpr std::string_view kWriteNotes =
    R"(The new content goes into a file of its own in the same directory (`.krux-` and sixteen hex
digits), is synced, and takes the place of the old file by rename; then the directory is synced. So
readers see the old file or the new one, another name (hard link) of the old file keeps the old
content, and a call that is killed leaves the old file, or the new one, and at most that one file
beside it. A file that exists keeps its permission bits, without set-user-ID, set-group-ID and
sticky; a new one gets 0644. Owner and group are the caller's; access lists and extended attributes
are not carried over. Where the old file had another group or an access list, the group gets no more
than others had. The directory must exist. A file that the caller may not write or read is not
replaced, although rename(2) would do it.

Links on the way are followed where they are relative and stay inside the grant, at most 40 of them;
the last name is never followed: a link, a directory, a pipe, a socket or a device there is refused
(65). Each name is opened by itself, `O_PATH|O_NOFOLLOW`, from the directory before it, and the path
that results is matched against the policy again. openat2(2) would resolve a path in one step, but
takes its mode through a pointer, which no filter can follow. Without it the filter of this class
sees every mode and every flag, and refuses set-user-ID bits and every way to open a file that
exists for writing; the one that makes files makes new ones, of mode 0600.

The answer holds size and SHA-256 of the file `before` and `after`, and so does the outcome record.
`expect` makes the call fail (1), with the file as it is, unless the file is what the caller
believes; a file that somebody else changes while the call runs is not replaced, except in the
instant between the last look and the rename. Files that tools run or obey unasked (git hooks, CI,
Makefile, package.json, shell start files, instructions to agents: `runtime/write_risk.cc`) are risk
`elevated`; a link that leads to one is refused. On a file system that cannot map file owners
(overlayfs) krux as root refuses to write at all (71): new files would not be the caller's.)";

constexpr Capability kCatalog[] = {
    {"fs.read", "read the bytes of a regular file",
     "you need the content of one file, whole or from `offset` on",
     "directories (fs.list), sizes and dates alone (fs.stat), devices and pipes (never)", kReadArgs,
     Dimension::kReadFiles, Risk::kLow, WorkClass::kFs},
    {"fs.list", "list the names in a directory, sorted, page by page",
     "you need to know what a directory holds",
     "the content of files (fs.read); whole trees at once", kListArgs, Dimension::kGlobSearch,
     Risk::kLow, WorkClass::kFs},
    {"fs.stat", "tell type, size and dates of a path",
     "you need to know whether and as what a path exists", "content (fs.read), names (fs.list)",
     kStatArgs, Dimension::kReadFiles, Risk::kLow, WorkClass::kFs},
    {"fs.write", "give a file new content, whole or not at all",
     "you know the whole content that a file shall have",
     "directories; changing a part of a large file; making a path's directories", kWriteArgs,
     Dimension::kWriteFiles, Risk::kLow, WorkClass::kWrite, kWriteNotes},
    {"proc.exec",
     "run a program in WORK, without network and without a shell; what it leaves running ends with "
     "it",
     "a compiler, a test runner or another program has to run",
     "reading files (fs.read): that needs no program and less authority", kExecArgs,
     Dimension::kRunExec, Risk::kLow, WorkClass::kExec},
#ifdef KRUX_TEST_HOOKS
    {"test.ingest",
     "stand for a page of the web",
     "a test needs untrusted content",
     "anything else",
     {},
     Dimension::kWebFetch,
     Risk::kLow,
     WorkClass::kFs,
     {},
     policy::kUntrustedContent},
    {"test.send",
     "stand for a message to somebody",
     "a test needs a way out",
     "anything else",
     kTestSendArgs,
     Dimension::kWebFetch,
     Risk::kLow,
     WorkClass::kFs,
     {},
     policy::kExfilVector},
    {"test.push",
     "stand for an effect elsewhere",
     "a test needs a lasting one",
     "anything else",
     kTestSendArgs,
     Dimension::kGitPush,
     Risk::kLow,
     WorkClass::kFs,
     {},
     policy::kExfilVector},
#endif
};

std::unexpected<Error> Bad(const Capability& capability, std::string why) {
  return Fail(ExitCode::kBadData, "bind",
              "`" + std::string(capability.name) + "`: " + std::move(why));
}

std::string Quote(std::string_view text) { return "`" + std::string(text) + "`"; }

// NUL is legal in CBOR text and ends every string of the kernel. (UTF-8 is settled: a Value holds
// nothing else.)
bool HoldsNul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

Result<cbor::Value> BindPath(const Capability& capability, const Arg& arg,
                             const cbor::Value& value) {
  const std::string* text = value.text();
  if (text == nullptr) return Bad(capability, Quote(arg.name) + " must be text");
  char canonical[KRUX_PATH_SIZE];
  size_t length = 0;
  const krux_path_status status =
      krux_path_canonical(text->data(), text->size(), canonical, sizeof canonical, &length);
  if (status != KRUX_PATH_OK) {
    return Bad(capability, Quote(arg.name) + " " + krux_path_status_text(status) +
                               "; give an absolute path of existing names");
  }
  return cbor::Value(std::string_view(canonical, length));
}

Result<cbor::Value> BindText(const Capability& capability, const Arg& arg,
                             const cbor::Value& value) {
  const std::string* text = value.text();
  if (text == nullptr) return Bad(capability, Quote(arg.name) + " must be text");
  if (text->size() > arg.max) {
    return Bad(capability,
               Quote(arg.name) + " is longer than " + std::to_string(arg.max) + " bytes");
  }
  if (HoldsNul(*text)) return Bad(capability, Quote(arg.name) + " holds a NUL byte");
  return value;
}

Result<cbor::Value> BindUint(const Capability& capability, const Arg& arg,
                             const cbor::Value& value) {
  const uint64_t* number = value.uint();
  if (number == nullptr) return Bad(capability, Quote(arg.name) + " must be a number, 0 or more");
  if (*number > arg.max) {
    return Bad(capability, Quote(arg.name) + " is " + std::to_string(*number) + "; at most " +
                               std::to_string(arg.max) + " is possible");
  }
  return value;
}

Result<cbor::Value> BindTextList(const Capability& capability, const Arg& arg,
                                 const cbor::Value& value) {
  const cbor::Array* list = value.array();
  if (list == nullptr) return Bad(capability, Quote(arg.name) + " must be a list of texts");
  if (list->size() > arg.max) {
    return Bad(capability,
               Quote(arg.name) + " has more than " + std::to_string(arg.max) + " items");
  }
  size_t bytes = 0;
  for (const cbor::Value& item : *list) {
    if (item.text() == nullptr) return Bad(capability, Quote(arg.name) + " must hold texts only");
    if (HoldsNul(*item.text()))
      return Bad(capability, "an item of " + Quote(arg.name) + " holds a NUL byte");
    bytes += item.text()->size();
  }
  if (bytes > kMaxArgvBytes)
    return Bad(capability, Quote(arg.name) + " is longer than 32 KiB in all");
  if (arg.required && (list->empty() || list->front().text()->empty())) {
    return Bad(capability, Quote(arg.name) + " needs a program as its first item");
  }
  return value;
}

Result<cbor::Value> BindContent(const Capability& capability, const Arg& arg,
                                const cbor::Value& value) {
  cbor::Bytes bytes;
  if (const std::string* text = value.text())
    bytes.assign(text->begin(), text->end());
  else if (value.bytes() != nullptr)
    bytes = *value.bytes();
  else
    return Bad(capability, Quote(arg.name) + " must be bytes or text");
  if (bytes.size() > arg.max) {
    return Bad(capability, Quote(arg.name) + " is longer than " + std::to_string(arg.max) +
                               " bytes; send it as the descriptor of the call");
  }
  return cbor::Value(std::move(bytes));
}

Result<cbor::Value> BindExpect(const Capability& capability, const Arg& arg,
                               const cbor::Value& value) {
  const std::string* text = value.text();
  const bool digest = text != nullptr && text->size() == kDigestDigits &&
                      text->find_first_not_of("0123456789abcdef") == std::string::npos;
  if (digest || (text != nullptr && *text == "absent")) return value;
  return Bad(capability,
             Quote(arg.name) + " must be `absent` or a SHA-256 as 64 lower-case hex digits");
}

Result<cbor::Value> BindOne(const Capability& capability, const Arg& arg,
                            const cbor::Value& value) {
  switch (arg.type) {
    case ArgType::kPath:
      return BindPath(capability, arg, value);
    case ArgType::kText:
      return BindText(capability, arg, value);
    case ArgType::kUint:
      return BindUint(capability, arg, value);
    case ArgType::kTextList:
      return BindTextList(capability, arg, value);
    case ArgType::kContent:
      return BindContent(capability, arg, value);
    case ArgType::kExpect:
      return BindExpect(capability, arg, value);
  }
  return Bad(capability, Quote(arg.name) + " has no type");
}

Result<void> OnlyKnown(const Capability& capability, const cbor::Map& given) {
  std::vector<std::string_view> names;
  for (const Arg& arg : capability.args) names.push_back(arg.name);
  for (const auto& [key, value] : given) {
    if (key.text() == nullptr) return Bad(capability, "argument names must be text");
    if (std::ranges::find(names, *key.text()) != names.end()) continue;
    std::string known;
    for (const std::string_view name : names)
      known += (known.empty() ? "; it takes " : ", ") + Quote(name);
    return Bad(capability, "unknown argument " + Quote(*key.text()) +
                               policy::DidYouMean(*key.text(), names, known));
  }
  return {};
}

}  // namespace

std::span<const Capability> Catalog() { return kCatalog; }

const Capability* FindCapability(std::string_view name) {
  const auto found = std::ranges::find(kCatalog, name, &Capability::name);
  return found == std::end(kCatalog) ? nullptr : found;
}

std::string_view SuggestCapability(std::string_view name) {
  std::vector<std::string_view> names;
  for (const Capability& capability : kCatalog) names.push_back(capability.name);
  return policy::Nearest(name, names);
}

const Arg* ContentOf(const Capability& capability) {
  const auto found = std::ranges::find(capability.args, ArgType::kContent, &Arg::type);
  return found == capability.args.end() ? nullptr : &*found;
}

Result<cbor::Map> Bind(const Capability& capability, const cbor::Value& args, const Input* input) {
  const cbor::Map* given = args.map();
  if (given == nullptr) return Bad(capability, "arguments must be a map");
  KRUX_TRY(OnlyKnown(capability, *given));
  cbor::Map bound;
  if (input != nullptr) {
    const Arg* content = ContentOf(capability);
    if (content == nullptr)
      return Bad(capability, "takes no content; send the call without a descriptor");
    if (given->Find(content->name) != nullptr)
      return Bad(capability, Quote(content->name) + " came twice, also as a descriptor");
    bound.Set(content->name, cbor::Map{{"bytes", input->bytes}, {"sha256", input->sha256}});
  }
  for (const Arg& arg : capability.args) {
    if (const cbor::Value* value = given->Find(arg.name)) {
      bound.Set(arg.name, KRUX_TRY(BindOne(capability, arg, *value)));
    } else if (bound.Find(arg.name) != nullptr) {
      continue;  // came as a descriptor
    } else if (arg.required) {
      return Bad(capability, "needs " + Quote(arg.name) + ": " + std::string(arg.help));
    } else if (arg.type == ArgType::kUint) {
      bound.Set(arg.name, arg.default_value);
    }
  }
  return bound;
}

}  // namespace krux::runtime
