#include "tools/doctor_jail.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/terminal.h"
#include "tools/doctor_sandbox.h"
#include "tools/jail_bait.h"
#include "tools/jail_programs.h"

namespace krux::tools {
namespace {

struct Verdict {
  enum class End { kContained, kEscaped, kNotShown };
  const JailProgram* program;
  End end = End::kNotShown;
  std::string said;
};

const char* Word(Verdict::End end) {
  switch (end) {
    case Verdict::End::kContained:
      return "contained";
    case Verdict::End::kEscaped:
      return "NOT CONTAINED";
    case Verdict::End::kNotShown:
      return "not shown";
  }
  return "not shown";
}

Verdict Judge(const JailProgram& program, const std::string& said, const std::string& touched) {
  constexpr std::string_view kContained = "contained: ";
  Verdict verdict{&program, Verdict::End::kNotShown, said};
  while (!verdict.said.empty() && verdict.said.back() == '\n') verdict.said.pop_back();
  if (said.starts_with("ESCAPED: ")) verdict.end = Verdict::End::kEscaped;
  if (said.starts_with(kContained)) {
    verdict.end = Verdict::End::kContained;
    verdict.said.erase(0, kContained.size());
  }
  // The host has the last word.
  if (!touched.empty()) {
    verdict.end = Verdict::End::kEscaped;
    verdict.said = touched;
  }
  return verdict;
}

// A process that runs `program` is still there after a moment: the answer comes before the tearing
// down, which takes a few milliseconds. Only what this user may see is seen.
bool Left(const std::string& program) {
  for (int attempt = 0; attempt < 200; ++attempt) {
    bool found = false;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
      std::ifstream file(entry.path() / "cmdline", std::ios::binary);
      std::string command;
      found = found || (std::getline(file, command, '\0') && command == program);
    }
    if (!found) return false;
    usleep(10'000);
  }
  return true;
}

Result<Verdict> Try(gateway::Client& client, const std::string& scratch,
                    const std::string& programs, const JailProgram& program) {
  const std::string inside = scratch + "/work/" + program.name;
  Bait bait(scratch);
  std::error_code failed;
  std::filesystem::copy_file(programs + "/escape_" + program.name, inside, failed);
  if (failed)
    return Fail(ExitCode::kNotFound, "jail",
                std::string("copy `escape_") + program.name + "`: " + failed.message());
  chmod(inside.c_str(), 0755);
  cbor::Array argv{inside};
  for (std::string& word : KRUX_TRY(bait.Lay(program.bait))) argv.emplace_back(std::move(word));
  const gateway::Reply reply =
      KRUX_TRY(client.Call("proc.exec", {{"argv", std::move(argv)}, {"timeout_ms", 60'000u}}));
  // A call that never came to be says nothing about the program: the sandbox itself is missing.
  if (reply.code == ExitCode::kSandbox) return Fail(ExitCode::kSandbox, "jail", reply.message);
  std::string said = KRUX_TRY(reply.output.ReadAll());
  if (said.empty()) said = reply.message;
  return Judge(program, said,
               Left(inside) ? "it runs on after the call has ended" : bait.Touched());
}

Result<std::vector<Verdict>> TryAll(const std::vector<std::string>& degraded,
                                    const std::string& programs) {
  const Scratch scratch = KRUX_TRY(Scratch::Make());
  gateway::Client client = KRUX_TRY(StartGatewayIn(scratch.path(), degraded));
  Result<std::vector<Verdict>> all = [&]() -> Result<std::vector<Verdict>> {
    const gateway::WorkDir work = KRUX_TRY(gateway::ChooseWork(scratch.path() + "/work"));
    KRUX_TRY(client.Open(work, "local_dev"));
    std::vector<Verdict> verdicts;
    for (const JailProgram& program : JailPrograms())
      verdicts.push_back(KRUX_TRY(Try(client, scratch.path(), programs, program)));
    return verdicts;
  }();
  // Stop also where a program could not be tried: nothing of ours may stay behind.
  const Result<void> stopped = StopGateway();
  if (all && !stopped) return std::unexpected(stopped.error());
  return all;
}

Result<std::string> FindPrograms() {
  std::string dir = KRUX_TRY(JailProgramsDir());
  size_t missing = 0;
  for (const JailProgram& program : JailPrograms())
    missing += access((dir + "/escape_" + program.name).c_str(), X_OK) == 0 ? 0 : 1;
  if (missing == 0) return dir;
  return Fail(ExitCode::kNotFound, "jail",
              std::to_string(missing) + " of " + std::to_string(JailPrograms().size()) +
                  " escape programs are not in `" + dir +
                  "`; nothing was tried. Install them, or build `krux-escape-programs` in a "
                  "checkout (`./dev run doctor --jail` does)");
}

cbor::Map ToValue(const Verdict& verdict) {
  return cbor::Map{{"program", verdict.program->name},
                   {"tries", verdict.program->tries},
                   {"verdict", Word(verdict.end)},
                   {"said", EscapeLine(verdict.said)}};
}

}  // namespace

int RunDoctorJail(const Output& out, const std::vector<std::string>& degraded) {
  const Result<std::string> programs = FindPrograms();
  if (!programs) return out.Complain(programs.error());
  const Result<std::vector<Verdict>> verdicts = TryAll(degraded, *programs);
  if (!verdicts) return out.Complain(verdicts.error());
  size_t contained = 0;
  std::vector<std::vector<std::string>> table = {
      {"VERDICT", "PROGRAM", "TRIES TO", "HOW IT ENDED"}};
  cbor::Array rows;
  for (const Verdict& verdict : *verdicts) {
    contained += verdict.end == Verdict::End::kContained ? 1 : 0;
    table.push_back(
        {Word(verdict.end), verdict.program->name, verdict.program->tries, verdict.said});
    rows.emplace_back(ToValue(verdict));
  }
  const bool whole = contained == verdicts->size();
  if (out.structured()) {
    cbor::Array layers;
    for (const std::string& layer : degraded) layers.emplace_back(layer);
    out.Value(cbor::Map{{"schema", "krux.doctor_jail/1"},
                        {"whole", whole},
                        {"contained", static_cast<uint64_t>(contained)},
                        {"degraded", std::move(layers)},
                        {"programs", std::move(rows)}});
  } else {
    out.Table(table);
    out.Text(std::to_string(contained) + " of " + std::to_string(verdicts->size()) +
             " programs contained\n");
  }
  for (const std::string& layer : degraded)
    out.Say("without the layer `" + layer + "`, which this machine does not give");
  return whole ? 0 : ToInt(ExitCode::kSandbox);
}

}  // namespace krux::tools
