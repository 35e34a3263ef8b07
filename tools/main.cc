// krux: the command line. This file knows CLI11 and nothing else does; it fills the option structs
// of tools/command.h and returns what the command returns. Exceptions end here.
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <functional>

#include "base/exit_code.h"
#include "base/terminal.h"
#include "tools/command.h"

namespace krux::tools {
namespace {

constexpr int kUsage = ToInt(ExitCode::kUsage);

[[noreturn]] void Interrupted(int /*signal*/) { _exit(ToInt(ExitCode::kInterrupted)); }

int ComplainUsage(const std::string& message) {
  Output(Format::kTable).Say(message);
  return kUsage;
}

// What CLI11 fills; one object for the whole program, made in Main().
struct Options {
  std::string format = "table";
  CallOptions call;
  GatewayCommandOptions gateway;
  PolicyOptions policy;
  SessionOptions session;
  AuditOptions audit;
  CatOptions cat;
  DoctorOptions doctor;
  std::string capability;
  std::string topic;
  std::function<int(Format)> command;  // set by the subcommand that was named
};

void AddFormat(CLI::App* app, Options* o) {
  app->add_option("-o,--output", o->format, "table, json, jsonl or cbor")
      ->check(CLI::IsMember({"table", "json", "jsonl", "cbor"}));
}

void AddDegraded(CLI::App* app, std::vector<std::string>* layers) {
  app->add_option(
         "--allow-degraded", *layers,
         "layers that may be missing, such as cgroup; only the start of a gateway can say so")
      ->delimiter(',')
      ->take_all()
      ->allow_extra_args(false);
}

void AddCall(CLI::App* app, Options* o) {
  CLI::App* call = app->add_subcommand("call", "one tool call: decided, recorded, sandboxed");
  call->footer(
      "Words fill the required arguments in order, name=value sets one by name, and the words "
      "after `--`\n"
      "are the program of proc.exec:\n"
      "  krux call fs.read README.md\n"
      "  krux call --profile local_dev fs.write notes.txt --stdin < draft.txt\n"
      "  krux call --profile local_dev proc.exec -- id\n"
      "krux cap show CAPABILITY lists the arguments, krux help exit-codes the exit codes.");
  // The words are taken from the remains: CLI11 would split a word such as [a,b] that it parses
  // itself.
  call->allow_extras();
  call->add_option("--args", o->call.json,
                   "arguments as a JSON object: @file, - for stdin, or the JSON");
  call->add_flag("--stdin", o->call.from_stdin,
                 "pass stdin on: what fs.write writes, what the program of proc.exec reads; "
                 "at most 16 MiB");
  call->add_option("--session", o->call.session, "the session, as krux printed it")
      ->envname("KRUX_SESSION");
  call->add_option("--profile", o->call.profile,
                   "read_only (the default) or another of krux policy ls");
  call->add_option("--work", o->call.work,
                   "the directory tree of the session (default: of the git work tree)");
  AddDegraded(call, &o->call.allow_degraded);
  call->add_flag("--exec-status", o->call.exec_status,
                 "exit with the status of the program that ran");
  AddFormat(call, o);
  call->callback([call, o] {
    o->command = [call, o](Format format) {
      o->call.format = format;
      o->call.words = call->remaining();
      for (const std::string& word : o->call.words) {
        if (word.size() > 1 && word.front() == '-') {
          return ComplainUsage(
              "`" + word +
              "` is no option of krux call; put -- before the words of the call, or write ./" +
              word + " for a file of that name");
        }
      }
      if (o->call.words.empty()) {
        return ComplainUsage(
            "krux call needs a capability, such as fs.read; krux cap ls lists them");
      }
      o->call.capability = o->call.words.front();
      o->call.words.erase(o->call.words.begin());
      return RunCall(o->call);
    };
  });
}

void AddGateway(CLI::App* app, Options* o) {
  CLI::App* gateway =
      app->add_subcommand("gateway", "the private gateway of this user")->require_subcommand(1);
  const auto add = [&](const char* name, const char* help,
                       int (*run)(const GatewayCommandOptions&)) {
    CLI::App* command = gateway->add_subcommand(name, help);
    AddFormat(command, o);
    command->callback([o, run] {
      o->command = [o, run](Format format) {
        o->gateway.format = format;
        return run(o->gateway);
      };
    });
    return command;
  };
  CLI::App* run = add("run", "be the gateway, in the foreground", RunGatewayRun);
  CLI::App* start = add("start", "start it and return when it serves", RunGatewayStart);
  add("stop", "end it; the log is closed and signed", RunGatewayStop);
  add("status", "what it is doing", RunGatewayStatus);
  for (CLI::App* command : {run, start}) {
    AddDegraded(command, &o->gateway.allow_degraded);
    command->add_option("--ceiling", o->gateway.ceiling,
                        "the widest profile that clients may name (default: local_dev)");
    command->add_flag("--keep", o->gateway.keep, "stay when the last client is gone");
    // For tests: a daemon that died stays dead.
    command->add_flag("--no-restart", o->gateway.no_restart)->group("");
  }
  run->add_option("--idle-seconds", o->gateway.idle_seconds, "end this long after the last client");
  run->add_option("--ready-fd", o->gateway.ready_fd)->group("");
  run->add_flag("--log-stderr", o->gateway.foreground_log, "the daemons talk on this stderr");
  CLI::App* status = app->add_subcommand("status", "what the gateway is doing");
  AddFormat(status, o);
  status->callback([o] {
    o->command = [o](Format format) {
      o->gateway.format = format;
      return RunGatewayStatus(o->gateway);
    };
  });
}

void AddSession(CLI::App* app, Options* o) {
  CLI::App* session = app->add_subcommand("session", "what the sessions of this user are in")
                          ->require_subcommand(1);
  const auto add = [&](const char* name, const char* help, int (*run)(const SessionOptions&)) {
    CLI::App* command = session->add_subcommand(name, help);
    AddDegraded(command, &o->session.allow_degraded);
    AddFormat(command, o);
    command->callback([o, run] {
      o->command = [o, run](Format format) {
        o->session.format = format;
        return run(o->session);
      };
    });
    return command;
  };
  add("ls", "all of them, also those kept from before a restart", RunSessionLs);
  CLI::App* show = add("show",
                       "exposure and the calls that brought it, what is left of the budget, "
                       "and a digest that no restart changes",
                       RunSessionShow);
  CLI::App* fresh = add("new",
                        "end it, so that the next call begins a clean one; from a terminal "
                        "only",
                        RunSessionNew);
  for (CLI::App* command : {show, fresh}) {
    command->add_option("session", o->session.id,
                        "its id, or how that begins (default: of --work)");
    command->add_option("--work", o->session.work,
                        "the directory tree of the session (default: of the git work tree)");
    command->add_option("--profile", o->session.profile, "only of this profile");
  }
}

void AddAudit(CLI::App* app, Options* o) {
  CLI::App* audit =
      app->add_subcommand("audit", "the log of every decision")->require_subcommand(1);
  const auto add = [&](const char* name, const char* help, int (*run)(const AuditOptions&)) {
    CLI::App* command = audit->add_subcommand(name, help);
    command->add_option("--log", o->audit.log_dir,
                        "the folder of one log (default: of this user's gateway)");
    command->add_option("--key", o->audit.key, "its public key (default: of this user's gateway)");
    AddFormat(command, o);
    command->callback([o, run] {
      o->command = [o, run](Format format) {
        o->audit.format = format;
        return run(o->audit);
      };
    });
    return command;
  };
  add("verify", "0 whole and signed, 1 tampered, 2 incomplete, 3 cannot be verified",
      RunAuditVerify);
  add("tail", "the last records, one a line", RunAuditTail)
      ->add_option("-n,--count", o->audit.count, "how many");
  add("show", "the record SEQ, with the intent and the outcome of its call", RunAuditShow)
      ->add_option("seq", o->audit.seq, "number of the record")
      ->required();
  CLI::App* cat = audit->add_subcommand(
      "cat", "every record as CBOR, with its openings, also of a damaged log (65 then)");
  cat->add_option("--log", o->cat.log_dir,
                  "the folder of one log (default: of this user's gateway)");
  cat->add_option("--from", o->cat.from, "the first record");
  cat->add_option("--to", o->cat.to, "the last record");
  cat->add_option_function<std::string>(
         "-o,--output", [o](const std::string& word) { o->cat.json_lines = word == "jsonl"; },
         "diag (diagnostic notation, the default) or jsonl")
      ->check(CLI::IsMember({"diag", "jsonl"}));
  cat->callback([o] { o->command = [o](Format) { return RunAuditCat(o->cat); }; });
}

void AddPolicy(CLI::App* app, Options* o) {
  CLI::App* policy = app->add_subcommand("policy", "what sessions may do")->require_subcommand(1);
  const auto add = [&](const char* name, const char* help, std::function<int(Format)> run) {
    CLI::App* command = policy->add_subcommand(name, help);
    AddFormat(command, o);
    command->add_flag_callback("--json", [o] { o->format = "json"; }, "the same as -o json");
    command->callback([o, run = std::move(run)] { o->command = run; });
    return command;
  };
  const auto with_policy = [o](int (*run)(const PolicyOptions&)) {
    return [o, run](Format format) {
      o->policy.format = format;
      return run(o->policy);
    };
  };
  add("ls", "the shipped profiles and the operator's own", RunPolicyLs);
  CLI::App* show = add("show", "one of them, as written", with_policy(RunPolicyShow));
  show->add_option("policy", o->policy.policy, "a name, or a file")->required();
  show->add_flag("--effective", o->policy.effective,
                 "what it comes to with all that it extends, in words");
  add("check", "0 the file is a policy, 78 it is not: file, line and column say where",
      with_policy(RunPolicyCheck))
      ->add_option("file", o->policy.policy)
      ->required();
  add("schema", "the JSON Schema of policy files", RunPolicySchema);
  add("reload",
      "read the operator's files again: all of them are in force then, or (78) none is; running "
      "sessions never gain by it",
      RunPolicyReload);
}

void AddSimple(CLI::App* app, Options* o) {
  CLI::App* doctor =
      app->add_subcommand("doctor", "what this machine can confine, and what to do about the rest");
  doctor->add_flag("--needs-degraded", o->doctor.needs_degraded,
                   "print only what --allow-degraded must name here, nothing if nothing");
  doctor->add_flag("--no-probe", o->doctor.no_probe, "do not try a real sandbox");
  doctor->add_flag("--jail", o->doctor.jail,
                   "run every escape program in a sandbox of this machine: 0 all contained, 71 "
                   "one is not, 66 the programs are not installed");
  AddFormat(doctor, o);
  doctor->callback([o] {
    o->command = [o](Format format) {
      o->doctor.format = format;
      return RunDoctor(o->doctor);
    };
  });
  CLI::App* cap = app->add_subcommand("cap", "the catalog of capabilities")->require_subcommand(1);
  CLI::App* ls = cap->add_subcommand("ls", "all of them");
  AddFormat(ls, o);
  ls->callback([o] { o->command = [](Format format) { return RunCapLs(format); }; });
  CLI::App* show = cap->add_subcommand("show", "one of them, with its arguments");
  show->add_option("capability", o->capability)->required();
  AddFormat(show, o);
  show->callback(
      [o] { o->command = [o](Format format) { return RunCapShow(o->capability, format); }; });
  CLI::App* version =
      app->add_subcommand("version", "version of krux, of the protocol and of the log format");
  AddFormat(version, o);
  version->callback([o] { o->command = RunVersion; });
  CLI::App* help = app->add_subcommand("help", "krux help exit-codes");
  help->add_option("topic", o->topic)->check(CLI::IsMember({"exit-codes"}));
  AddFormat(help, o);
  help->callback([app, o] {
    o->command = [app, o](Format format) {
      if (o->topic == "exit-codes") return RunHelpExitCodes(format);
      Output(format).Text(app->help());
      return 0;
    };
  });
}

int Main(int argc, char** argv) {
  struct sigaction action = {};
  action.sa_handler = Interrupted;
  sigaction(SIGINT, &action, nullptr);

  Options o;
  // `--` is split off first: what follows belongs to the program that is called, untouched.
  int own = 0;
  while (own < argc && std::string_view(argv[own]) != "--") ++own;
  for (int i = own + 1; i < argc; ++i) o.call.after_dashes.emplace_back(argv[i]);

  CLI::App app(
      "krux runs the tool calls of agents that nobody trusts: one fresh, confined process each",
      "krux");
  app.require_subcommand(1);
  app.set_version_flag("--version", "krux " KRUX_VERSION);
  AddCall(&app, &o);
  AddGateway(&app, &o);
  AddSession(&app, &o);
  AddAudit(&app, &o);
  AddPolicy(&app, &o);
  AddSimple(&app, &o);
  const std::string first = own > 1 ? argv[1] : "-";
  const auto named =
      app.get_subcommands([&](CLI::App* command) { return command->get_name() == first; });
  if (named.empty() && !first.starts_with("-")) {
    return ComplainUsage("`" + first + "` is no command; krux --help shows them");
  }
  try {
    app.parse(own, argv);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::CallForVersion& version) {
    return app.exit(version);
  } catch (const CLI::ParseError& error) {
    return ComplainUsage(std::string(error.what()) + "; krux --help shows the commands");
  }
  if (own < argc && !app.got_subcommand("call"))
    return ComplainUsage("only krux call takes words after `--`");
  return o.command(FormatFromName(o.format));
}

}  // namespace
}  // namespace krux::tools

int main(int argc, char** argv) {
  try {
    return krux::tools::Main(argc, argv);
  } catch (const std::bad_alloc&) {
    krux::tools::Output(krux::tools::Format::kTable).Say("out of memory");
  } catch (const std::exception& error) {
    krux::tools::Output(krux::tools::Format::kTable)
        .Say(std::string("a defect in krux: ") + error.what() + "; please report it");
  }
  return krux::ToInt(krux::ExitCode::kInternal);
}
