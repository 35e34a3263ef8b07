// krux audit verify|tail|show. Reads the log through audit/verify, which shares no code with the
// writer; a running gateway is only asked to sign what is durable.
#include <deque>
#include <filesystem>

#include "audit/verify/reader.h"
#include "audit/verify/schema.h"
#include "audit/verify/verify.h"
#include "base/terminal.h"
#include "gateway/client/ensure.h"
#include "tools/command.h"
#include "tools/json.h"
#include "tools/record_text.h"

namespace krux::tools {
namespace {

using audit::verify::LogReader;
using audit::verify::RecordView;

constexpr int kCannotVerify = audit::verify::kCannot;

struct Log {
  std::string dir;
  std::string key;
  bool live = false;  // a gateway runs that writes it, and has just signed what is durable
};

// The log that was named, else that of this user's gateway.
Result<Log> FindLog(const AuditOptions& options, bool sign) {
  Log log{options.log_dir, options.key};
  if (log.dir.empty()) {
    const gateway::GatewayPaths paths = KRUX_TRY(gateway::FindGatewayPaths());
    log.dir = paths.audit_dir;
    if (log.key.empty()) log.key = paths.audit_public_key;
    gateway::StartOptions start;
    start.may_start = false;
    if (Result<gateway::Client> client; sign && (client = gateway::EnsureGateway(paths, start))) {
      const Result<uint64_t> signed_size = client->Checkpoint();
      log.live = signed_size.has_value();
    }
  }
  if (log.key.empty()) log.key = audit::verify::DefaultPublicKey(log.dir);
  return log;
}

const char* Word(int exit) {
  switch (exit) {
    case audit::verify::kOk:
      return "ok";
    case audit::verify::kTampered:
      return "tampered";
    case audit::verify::kIncomplete:
      return "incomplete";
    default:
      return "cannot verify";
  }
}

cbor::Map ToValue(const audit::verify::Report& report) {
  cbor::Array faults;
  for (const audit::verify::Fault& fault : report.faults) {
    cbor::Map row{{"class", Word(fault.cls)},
                  {"file", EscapeLine(fault.file)},
                  {"offset", fault.offset},
                  {"text", EscapeLine(fault.text)}};
    if (fault.seq) row.Set("seq", *fault.seq);
    faults.emplace_back(std::move(row));
  }
  return {{"schema", "krux.audit.verify/1"},   {"exit", report.exit},
          {"verdict", Word(report.exit)},      {"log_id", report.log_id},
          {"records", report.records},         {"signed", report.signed_size},
          {"checkpoints", report.checkpoints}, {"head", report.head},
          {"faults", std::move(faults)},       {"more_faults", report.more_faults}};
}

// The record itself, or false after it was said that there is none.
bool FindRecord(const Output& out, LogReader* reader, uint64_t seq, RecordView* view) {
  if (reader->Find(seq, view)) return true;
  out.Say(reader->error().empty() ? "record " + std::to_string(seq) +
                                        " is not in the log; krux audit tail lists the last"
                                  : reader->error());
  return false;
}

bool IsCallStart(const std::string& kind) {
  return kind == "intent" || kind == "denial" || kind == "deferral";
}

// The record that closes the intent `seq`: after it, and before long, because calls are bounded.
Result<std::optional<cbor::Map>> ClosingRecord(const std::string& dir, uint64_t seq) {
  LogReader reader(dir);
  RecordView view;
  if (!reader.Find(seq, &view)) return std::nullopt;
  while (reader.Next(&view)) {
    if (view.kind != audit::verify::kOutcome && view.kind != audit::verify::kRecovered) continue;
    cbor::Map record = KRUX_TRY(NamedRecord(view));
    if (NumberIn(record, "intent_seq") == seq) return record;
  }
  return std::nullopt;
}

// "  key   value" lines; maps are indented below their key.
void PrintFields(const Output& out, const cbor::Map& map, const std::string& indent) {
  size_t width = 0;
  for (const auto& [key, value] : map)
    width = std::max(width, key.text() != nullptr ? key.text()->size() : 0);
  for (const auto& [key, value] : map) {
    std::string line =
        indent + EscapeLine(key.text() != nullptr ? *key.text() : cbor::Diagnostic(key));
    if (value.map() != nullptr && !value.map()->empty()) {
      out.Text(line + "\n");
      PrintFields(out, *value.map(), indent + "  ");
      continue;
    }
    line.append(
        indent.size() + width + 2 > line.size() ? indent.size() + width + 2 - line.size() : 1, ' ');
    if (value.bytes() != nullptr) {
      line += Hex(*value.bytes());
    } else {
      line += EscapeLine(value.text() != nullptr ? *value.text() : cbor::Diagnostic(value));
    }
    out.Text(line + "\n");
  }
}

}  // namespace

int RunAuditVerify(const AuditOptions& options) {
  const Output out(options.format);
  const Result<Log> log = FindLog(options, true);
  if (!log) {
    out.Complain(log.error());
    return kCannotVerify;
  }
  const audit::verify::Report report = audit::verify::VerifyLog(
      log->dir, {.public_key = log->key, .expected_head = "", .live = log->live});
  if (out.structured()) {
    out.Value(ToValue(report));
    return report.exit;
  }
  for (const audit::verify::Fault& fault : report.faults) {
    const std::string record = fault.seq ? "record " + std::to_string(*fault.seq) + ": " : "";
    out.Text(std::string(Word(fault.cls)) + ": " + record + EscapeLine(fault.text) + " (" +
             EscapeLine(fault.file) + " at byte " + std::to_string(fault.offset) + ")\n");
  }
  if (report.more_faults > 0) out.Text("and " + std::to_string(report.more_faults) + " more\n");
  out.Text(std::string(Word(report.exit)) + ": " + std::to_string(report.records) + " records, " +
           std::to_string(report.signed_size) + " signed, log " +
           (report.log_id.empty() ? "?" : report.log_id) + "\n");
  return report.exit;
}

int RunAuditTail(const AuditOptions& options) {
  const Output out(options.format);
  const Result<Log> log = FindLog(options, false);
  if (!log) return out.Complain(log.error());
  LogReader reader(log->dir);
  std::deque<RecordView> last;
  for (RecordView view; reader.Next(&view);) {
    last.push_back(std::move(view));
    if (last.size() > options.count) last.pop_front();
  }
  cbor::Array records;
  for (const RecordView& view : last) {
    Result<cbor::Map> record = NamedRecord(view);
    if (!record) return out.Complain(record.error());
    if (options.format == Format::kTable) {
      out.Text(RecordLine(*record) + "\n");
    } else if (options.format == Format::kJsonl) {
      out.Value(std::move(*record));
    } else {
      records.emplace_back(std::move(*record));
    }
  }
  if (options.format == Format::kJson || options.format == Format::kCbor) {
    out.Value(cbor::Map{{"schema", "krux.audit.tail/1"}, {"records", std::move(records)}});
  }
  if (!reader.error().empty()) {
    return out.Complain({ExitCode::kNotFound, 0, "read the log", reader.error()});
  }
  return 0;
}

int RunAuditShow(const AuditOptions& options) {
  const Output out(options.format);
  const Result<Log> log = FindLog(options, false);
  if (!log) return out.Complain(log.error());
  LogReader reader(log->dir);
  RecordView view;
  if (!FindRecord(out, &reader, options.seq, &view)) return ToInt(ExitCode::kNotFound);
  Result<cbor::Map> record = NamedRecord(view);
  if (!record) return out.Complain(record.error());
  // An outcome is shown after its intent, whichever of the two was asked for.
  if (const uint64_t intent = NumberIn(*record, "intent_seq");
      intent != 0 && !IsCallStart(TextIn(*record, "kind"))) {
    LogReader again(log->dir);
    if (!FindRecord(out, &again, intent, &view)) return ToInt(ExitCode::kNotFound);
    record = NamedRecord(view);
    if (!record) return out.Complain(record.error());
  }
  cbor::Array records{*record};
  if (TextIn(*record, "kind") == "intent") {
    Result<std::optional<cbor::Map>> closing = ClosingRecord(log->dir, NumberIn(*record, "seq"));
    if (!closing) return out.Complain(closing.error());
    if (*closing) records.emplace_back(std::move(**closing));
  }
  if (out.structured()) {
    out.Value(cbor::Map{{"schema", "krux.audit.call/1"}, {"records", std::move(records)}});
    return 0;
  }
  for (const cbor::Value& item : records) {
    out.Text(RecordLine(*item.map()) + "\n");
    PrintFields(out, *item.map(), "  ");
  }
  if (TextIn(*record, "kind") == "intent" && records.size() == 1)
    out.Say("this call has no outcome yet");
  return 0;
}

}  // namespace krux::tools
