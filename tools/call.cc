// krux call: one call through the gateway, its answer on stdout, everything else on stderr.
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/terminal.h"
#include "gateway/client/ensure.h"
#include "gateway/client/work_dir.h"
#include "runtime/catalog.h"
#include "tools/arguments.h"
#include "tools/command.h"
#include "tools/content.h"
#include "tools/json.h"
#include "tools/lost_call.h"

namespace krux::tools {
namespace {

constexpr int kAttempts = 5;

// A program's output is its stdout followed by its stderr; the result says where one ends.
struct Streams {
  std::string_view out;
  std::string_view err;
  bool program = false;
};

uint64_t UintAt(const cbor::Value& data, const char* key, uint64_t fallback) {
  const cbor::Map* map = data.map();
  const cbor::Value* value = map != nullptr ? map->Find(key) : nullptr;
  return value != nullptr && value->uint() != nullptr ? *value->uint() : fallback;
}

Streams Split(const cbor::Value& data, std::string_view output) {
  if (data.map() == nullptr || data.map()->Find("stdout_bytes") == nullptr)
    return {output, {}, false};
  const uint64_t out = std::min<uint64_t>(UintAt(data, "stdout_bytes", 0), output.size());
  return {output.substr(0, out), output.substr(out), true};
}

cbor::Array TextArray(const std::vector<std::string>& items) {
  cbor::Array array;
  for (const std::string& item : items) array.emplace_back(item);
  return array;
}

// The versioned form of -o json, jsonl and cbor.
cbor::Map Structured(const gateway::Reply& reply, const Streams& streams, bool has_output,
                     Format format) {
  cbor::Map map{{"schema", "krux.result/1"},        {"ok", reply.ok},
                {"code", ToInt(reply.code)},        {"status", Name(reply.code)},
                {"verdict", reply.verdict},         {"seq", reply.seq},
                {"outcome_seq", reply.outcome_seq}, {"exposure", TextArray(reply.exposure)},
                {"truncated", reply.truncated},     {"data", reply.data}};
  if (!reply.rule.empty()) map.Set("rule", reply.rule);
  if (!reply.message.empty()) map.Set("message", reply.message);
  if (!reply.next.empty()) map.Set("next", reply.next);
  const auto part = [&](std::string_view content) -> cbor::Value {
    if (format != Format::kCbor) return TextOrBase64(content);
    return cbor::Bytes(content.begin(), content.end());
  };
  if (streams.program) {
    map.Set("stdout", part(streams.out));
    map.Set("stderr", part(streams.err));
  } else if (has_output) {
    if (format == Format::kCbor) {
      map.Set("bytes", part(streams.out));
    } else {
      for (const auto& [key, value] : TextOrBase64(streams.out)) map.Set(key, value);
    }
  }
  return map;
}

std::string CellOf(const cbor::Value& value) {
  if (value.text() != nullptr) return *value.text();
  if (value.bytes() != nullptr) return Hex(*value.bytes());
  return cbor::Diagnostic(value);
}

// A list of maps as a table, a map as "key value" lines.
void PrintData(const Output& out, const cbor::Value& data) {
  const cbor::Map* map = data.map();
  if (map == nullptr) return;
  std::vector<std::vector<std::string>> rows;
  const cbor::Value* entries = map->Find("entries");
  if (entries != nullptr && entries->array() != nullptr) {
    for (const cbor::Value& entry : *entries->array()) {
      std::vector<std::string>& row = rows.emplace_back();
      if (entry.map() == nullptr) {
        row.push_back(CellOf(entry));
        continue;
      }
      if (const cbor::Value* name = entry.map()->Find("name")) row.push_back(CellOf(*name));
      for (const auto& [key, value] : *entry.map()) {
        if (key != cbor::Value("name")) row.push_back(CellOf(value));
      }
    }
  } else {
    for (const auto& [key, value] : *map) {
      // A file mode is read in octal everywhere else too.
      const bool mode = key == cbor::Value("mode") && value.uint() != nullptr;
      rows.push_back({CellOf(key), mode ? fmt::format("{:04o}", *value.uint()) : CellOf(value)});
    }
  }
  out.Table(rows);
}

// One sentence: what was refused, the dimension, the rule, the next action.
std::string Sentence(const gateway::Reply& reply, const std::string& capability) {
  std::string text;
  if (reply.verdict == "deny") text = "denied: ";
  if (reply.verdict == "ask") text = "needs an approval: ";
  text += reply.message.empty() ? std::string(Meaning(reply.code)) : reply.message;
  const runtime::Capability* known = runtime::FindCapability(capability);
  const bool judged = reply.verdict == "deny" || reply.verdict == "ask";
  if (judged && !reply.rule.empty()) {
    text += " (rule `" + reply.rule + "`";
    if (known != nullptr && known->dimension != policy::Dimension::kNone) {
      text += ", dimension " + std::string(policy::Name(known->dimension));
    }
    text += ")";
  }
  // Where the message already ends with its next action, it is not said twice.
  if (!reply.next.empty() && text.find(reply.next) == std::string::npos) text += "; " + reply.next;
  if (reply.seq != 0) text += " [record " + std::to_string(reply.seq) + "]";
  return text;
}

int ExitStatus(const gateway::Reply& reply, const Streams& streams, bool exec_status) {
  const bool ran = reply.code == ExitCode::kOk || reply.code == ExitCode::kFailed;
  if (!exec_status || !streams.program || !ran) return ToInt(reply.code);
  if (const uint64_t signal = UintAt(reply.data, "signal", 0))
    return static_cast<int>(128 + signal);
  return static_cast<int>(UintAt(reply.data, "exit", static_cast<uint64_t>(ToInt(reply.code))));
}

Result<std::string> CurrentDirectory() {
  char* path = get_current_dir_name();
  if (path == nullptr) return SysError(ExitCode::kNotFound, "find the current directory", errno);
  std::string copy(path);
  free(path);
  return copy;
}

Result<gateway::Reply> Ask(const CallOptions& options, const Output& out) {
  if (!IsUtf8(options.capability)) {
    return Fail(
        ExitCode::kBadData, "arguments",
        "capability `" + EscapeLine(options.capability) + "` is not UTF-8; see krux cap ls");
  }
  std::optional<cbor::Value> json;
  if (options.json) json = KRUX_TRY(ReadJsonArguments(*options.json));
  const std::string cwd = KRUX_TRY(CurrentDirectory());
  cbor::Map args =
      KRUX_TRY(BuildArguments(options.capability, options.words, options.after_dashes, json, cwd));
  if (options.from_stdin && options.json == std::optional<std::string>("-"))
    return Fail(ExitCode::kUsage, "arguments", "--args - and --stdin both want stdin; use one");
  UniqueFd input = KRUX_TRY(TakeContent(options.capability, options.from_stdin, args));
  const gateway::WorkDir work = KRUX_TRY(gateway::ChooseWork(options.work));
  const gateway::GatewayPaths paths = KRUX_TRY(gateway::FindGatewayPaths());
  gateway::StartOptions start;
  start.allow_degraded = options.allow_degraded;
  start.say = [&out](std::string_view line) { out.Say(line); };
  for (int attempt = 1;; ++attempt) {
    auto [client, opened] = KRUX_TRY(gateway::OpenSession(paths, start, work, options.profile));
    if (!options.session.empty() && Hex(opened.session) != options.session) {
      return Fail(ExitCode::kNotFound, "session",
                  "session `" + options.session + "` is not the one of `" + opened.work +
                      "` with profile `" + opened.profile +
                      "`; leave --session out to use session " + Hex(opened.session));
    }
    Result<gateway::Reply> reply = client.Call(options.capability, args, input);
    if (reply) return reply;
    // A call that was not taken had no effect and is made again; one that was lost never is.
    if (gateway::WasNotTaken(reply.error()) && attempt < kAttempts) continue;
    if (!gateway::WasLost(reply.error())) return reply;
    const LostCall lost{opened.session, client.last_call()};
    return std::unexpected(WhatBecameOf(paths, start, lost, std::move(reply.error())));
  }
}

}  // namespace

int RunCall(const CallOptions& options) {
  const Output out(options.format);
  Result<gateway::Reply> asked = Ask(options, out);
  if (!asked) {
    if (out.structured()) {
      out.Value(cbor::Map{{"schema", "krux.result/1"},
                          {"ok", false},
                          {"code", ToInt(asked.error().code)},
                          {"status", Name(asked.error().code)},
                          {"message", EscapeLine(asked.error().message)}});
    }
    return out.Complain(asked.error());
  }
  const gateway::Reply& reply = *asked;
  const Result<std::string> output = reply.output.ReadAll();
  if (!output) return out.Complain(output.error());
  const Streams streams = Split(reply.data, *output);
  const runtime::Capability* known = runtime::FindCapability(options.capability);
  // What answers with bytes prints bytes even when there are none of them.
  const bool bulk =
      reply.bytes > 0 || streams.program || (known != nullptr && known->name == "fs.read");
  if (out.structured()) {
    out.Value(Structured(reply, streams, bulk && reply.ok, options.format));
  } else if (bulk) {
    out.Bytes(streams.out);
    out.ErrorBytes(streams.err);
  } else if (reply.ok) {
    PrintData(out, reply.data);
  }
  if (reply.truncated && reply.ok) {  // otherwise the sentence names the limit
    out.Say("the output was cut at its limit; ask for less, or read on with offset= and limit=");
  }
  if (!reply.ok && !(streams.program && options.exec_status))
    out.Say(Sentence(reply, options.capability));
  return ExitStatus(reply, streams, options.exec_status);
}

}  // namespace krux::tools
