#include "runtime/worker/exec_call.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "tests/runtime/worker/serving.h"

namespace krux::runtime {
namespace {

Served Exec(std::vector<std::string> argv, const std::string& cwd = "/",
            ServeOptions options = {}) {
  cbor::Array words;
  for (std::string& word : argv) words.emplace_back(std::move(word));
  options.work_class = sandbox::WorkClass::kExec;
  return ServeCall(
      Request{"proc.exec", cbor::Map{{"argv", std::move(words)}, {"cwd", cwd}}, {}, {}}, options);
}

Served Shell(const std::string& script, ServeOptions options = {}) {
  return Exec({"sh", "-c", script}, "/", std::move(options));
}

std::string Stdout(const Served& served) {
  return served.bytes.substr(0, served.Number("stdout_bytes"));
}
std::string Stderr(const Served& served) {
  return served.bytes.substr(served.Number("stdout_bytes"));
}

TEST(ProcExecTest, OutputAndStatus) {
  const Served served = Shell("printf out; printf err >&2");
  EXPECT_EQ(served.exit, 0);
  EXPECT_EQ(served.code, ExitCode::kOk) << served.message;
  EXPECT_EQ(Stdout(served), "out");
  EXPECT_EQ(Stderr(served), "err");
  EXPECT_EQ(served.Number("stderr_bytes"), 3u);
  EXPECT_EQ(served.Number("exit"), 0u);
  EXPECT_FALSE(served.truncated);
}

TEST(ProcExecTest, StdinIsEmptyOrWhatCameWithTheCall) {
  EXPECT_EQ(Stdout(Shell("cat; echo end")), "end\n");
  const auto with = [](cbor::Value in, const std::string& script, ServeOptions options = {}) {
    options.work_class = sandbox::WorkClass::kExec;
    const cbor::Array words = {"sh", "-c", script};
    return ServeCall(Request{"proc.exec",
                             cbor::Map{{"argv", words}, {"cwd", "/"}, {"stdin", std::move(in)}},
                             {},
                             {}},
                     options);
  };
  EXPECT_EQ(Stdout(with(cbor::Bytes{'h', 'i', 0, 0xff}, "cat")), std::string("hi\0\xff", 4));
  EXPECT_EQ(Stdout(with(cbor::Bytes{}, "cat; echo end")), "end\n");
  std::string large(3 << 20, 'x');
  large += "end";
  const cbor::Map digest{{"bytes", uint64_t{large.size()}}, {"sha256", cbor::Bytes(32)}};
  const Served counted = with(digest, "cat | wc -c", {.input = large});
  EXPECT_EQ(Stdout(counted), std::to_string(large.size()) + "\n") << counted.message;
  // A file of its own, which cannot be changed or run, and no other descriptor beside it.
  const Served sealed = with(
      cbor::Bytes{'#', '!', '/', 'b', 'i', 'n', '/', 's', 'h', '\n'},
      "echo x >&0 && echo written; chmod 755 /dev/stdin && echo mode; ls /proc/self/fd | wc -l");
  EXPECT_EQ(Stdout(sealed).find("written"), std::string::npos) << Stdout(sealed);
  EXPECT_EQ(Stdout(sealed).find("mode"), std::string::npos) << Stdout(sealed);
  EXPECT_EQ(Stdout(sealed), "4\n") << "0, 1, 2 and the one of ls itself";
}

TEST(ProcExecTest, AProgramThatFailsSaysHow) {
  const Served status = Shell("echo before; exit 42");
  EXPECT_EQ(status.code, ExitCode::kFailed);
  EXPECT_EQ(status.Number("exit"), 42u);
  EXPECT_EQ(Stdout(status), "before\n");
  const Served signal = Shell("kill -SEGV $$");
  EXPECT_EQ(signal.code, ExitCode::kFailed);
  EXPECT_EQ(signal.Number("signal"), static_cast<uint64_t>(SIGSEGV));
  EXPECT_EQ(signal.data.Find("exit"), nullptr);
}

TEST(ProcExecTest, WordsAreTakenAsTheyAre) {
  EXPECT_EQ(Stdout(Exec({"printf", "%s|", "a b", "$HOME", "*", "", "\n"})), "a b|$HOME|*||\n|")
      << "no shell reads them";
}

TEST(ProcExecTest, BinaryOutput) {
  const Served served = Shell("printf 'a\\000\\377b'");
  EXPECT_EQ(Stdout(served), std::string("a\0\xff"
                                        "b",
                                        4));
}

TEST(ProcExecTest, TheProgramStartsClean) {
  // Descriptors and dispositions that a careless starter would leak into the program.
  ServeOptions options;
  options.before = [] {
    const int leak = open("/etc/passwd", O_RDONLY);
    dup2(leak, 77);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
    setenv("SECRET_OF_THE_STARTER", "x", 1);
    alarm(60);
  };
  const Served fds = Exec({"ls", "/proc/self/fd"}, "/", options);
  EXPECT_EQ(Stdout(fds), "0\n1\n2\n3\n") << "3 is the directory that ls itself reads";
  // The shell itself is what was started; its builtin read shows its own state.
  const Served state = Shell(
      "while read key value; do case $key in SigBlk:|SigIgn:) echo $value;; esac; done "
      "</proc/self/status",
      options);
  EXPECT_EQ(Stdout(state), "0000000000000000\n0000000000000000\n");
  EXPECT_EQ(Stdout(Exec({"env"}, "/", options)),
            "PATH=/usr/local/bin:/usr/bin:/bin\nHOME=/tmp\nTMPDIR=/tmp\nLANG=C.UTF-8\nTERM=dumb\n");
  EXPECT_EQ(Stdout(Exec({"cat"}, "/", options)), "") << "stdin is empty";
  EXPECT_EQ(Stdout(Exec({"readlink", "/proc/self/fd/0"}, "/", options)), "/dev/null\n");
}

TEST(ProcExecTest, StandardDescriptorsMayBeClosedInTheStarter) {
  ServeOptions options;
  options.before = [] {
    for (int fd = 0; fd < 3; ++fd) close(fd);
  };
  const Served served = Shell("printf out; printf err >&2", options);
  EXPECT_EQ(Stdout(served), "out") << served.message;
  EXPECT_EQ(Stderr(served), "err");
}

TEST(ProcExecTest, WorkingDirectoryAndSearch) {
  TempTree tree;
  tree.Write("tool", "#!/bin/sh\necho tool in $PWD\n");
  EXPECT_EQ(Stdout(Exec({"pwd"}, tree.path())), tree.path() + "\n");
  EXPECT_EQ(Exec({"./tool"}, tree.path()).code, ExitCode::kFailed) << "not executable";
  chmod((tree / "tool").c_str(), 0700);
  EXPECT_EQ(Stdout(Exec({"./tool"}, tree.path())), "tool in " + tree.path() + "\n");
  const Served bare = Exec({"tool"}, tree.path());
  EXPECT_EQ(bare.code, ExitCode::kNotFound) << "the working directory is not searched";
  EXPECT_NE(bare.message.find("`tool`"), std::string::npos);
  EXPECT_EQ(Exec({"pwd"}, tree / "none").code, ExitCode::kNotFound);
  tree.Write("file", "");
  EXPECT_EQ(Exec({"pwd"}, tree / "file").code, ExitCode::kNotFound);
}

TEST(ProcExecTest, WhatIsNoProgram) {
  TempTree tree;
  tree.Write("text", "just words\n");
  tree.Write("lost", "#!/no/such/interpreter\n");
  chmod((tree / "text").c_str(), 0700);
  chmod((tree / "lost").c_str(), 0700);
  EXPECT_EQ(Exec({tree / "text"}).code, ExitCode::kBadData);
  EXPECT_EQ(Exec({tree / "lost"}).code, ExitCode::kNotFound);
  EXPECT_EQ(Exec({tree.path()}).code, ExitCode::kFailed) << "a directory";
  EXPECT_EQ(Exec({"no-such-program-anywhere"}).code, ExitCode::kNotFound);
}

TEST(ProcExecTest, AProgramThatPrintsTooMuchIsEnded) {
  ServeOptions options;
  options.capacity = 64 * 1024;
  const Served served = Shell("printf e >&2; exec yes o", options);
  EXPECT_EQ(served.code, ExitCode::kFailed);
  EXPECT_EQ(served.limit, sandbox::Limit::kOutput) << served.message;
  EXPECT_EQ(served.Number("signal"), static_cast<uint64_t>(SIGKILL));
  EXPECT_TRUE(served.truncated);
  EXPECT_EQ(Stdout(served).size(), 48u * 1024) << "three quarters of the room";
  EXPECT_EQ(Stderr(served), "e");
  const Served errors = Shell("printf o; exec yes e >&2", options);
  EXPECT_EQ(errors.limit, sandbox::Limit::kOutput);
  EXPECT_EQ(Stdout(errors), "o");
  EXPECT_EQ(Stderr(errors).size(), 16u * 1024);
}

TEST(ProcExecTest, TooMuchIsTooMuchAlsoWhereTheProgramEndedByItself) {
  ServeOptions options;
  options.capacity = 4096;
  const Served served = Shell("head -c 5000 /dev/zero", options);
  EXPECT_EQ(served.code, ExitCode::kFailed);
  EXPECT_EQ(served.limit, sandbox::Limit::kOutput);
  EXPECT_TRUE(served.truncated);
}

TEST(ProcExecTest, ExactlyWhatFitsIsNotTruncated) {
  ServeOptions options;
  options.capacity = 64 * 1024;
  const Served served = Shell("head -c 49152 /dev/zero; head -c 16384 /dev/zero >&2", options);
  EXPECT_FALSE(served.truncated);
  EXPECT_EQ(served.bytes, std::string(64 * 1024, '\0'));
}

TEST(ProcExecTest, ChildrenLeftBehindDoNotHoldTheAnswer) {
  const auto start = std::chrono::steady_clock::now();
  const Served quiet = Shell("sleep 30 & echo done");
  EXPECT_EQ(Stdout(quiet), "done\n");
  const Served loud = Shell("(timeout 20 yes) & echo done");
  EXPECT_EQ(loud.Number("exit"), 0u);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(15));
}

TEST(ProcExecTest, OrphansAreReaped) {
  ServeOptions options;
  options.pid_namespace = true;
  const Served served =
      Shell("for i in 1 2 3 4 5 6 7 8; do (true &); done; sleep 0.2; echo $$", options);
  if (served.exit == 99) GTEST_SKIP() << "no user namespaces here";
  EXPECT_EQ(Stdout(served), "2\n") << "the init stub is 1, the program 2: " << served.message;
  EXPECT_EQ(served.Number("exit"), 0u);
}

TEST(ProcExecTest, WhenTimeIsUpTheProgramIsTold) {
  TempTree tree;
  const std::string ready = tree / "ready";
  ServeOptions options;
  options.meanwhile = [&](pid_t worker) {
    for (int i = 0; i < 2000 && access(ready.c_str(), F_OK) != 0; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    kill(worker, SIGTERM);
  };
  const Served served = Shell(
      "trap 'echo bye; exit 7' TERM; touch " + ready + "; while :; do sleep 0.05; done", options);
  EXPECT_EQ(served.exit, 0) << "the worker itself goes on and answers";
  EXPECT_EQ(served.Number("exit"), 7u) << served.message;
  EXPECT_EQ(Stdout(served), "bye\n");
  EXPECT_TRUE(served.truncated) << "nobody knows what else it would have printed";
}

TEST(ProcExecTest, WhenTimeIsUpAProgramThatDoesNotListenIsKilledAndItsOutputKept) {
  TempTree tree;
  const std::string ready = tree / "ready";
  ServeOptions options;
  options.meanwhile = [&](pid_t worker) {
    for (int i = 0; i < 2000 && access(ready.c_str(), F_OK) != 0; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    kill(worker, SIGTERM);
  };
  const Served served = Shell(
      "trap '' TERM; echo so far; touch " + ready + "; while :; do sleep 0.05; done", options);
  EXPECT_EQ(served.exit, 0);
  EXPECT_EQ(served.Number("signal"), static_cast<uint64_t>(SIGKILL)) << served.message;
  EXPECT_EQ(Stdout(served), "so far\n");
  EXPECT_TRUE(served.truncated);
}

TEST(ProcExecTest, AProgramThatFailsAtALimitSaysWhich) {
  ServeOptions options;
  options.before = [] {
    const rlimit bytes = {4096, 4096};
    setrlimit(RLIMIT_FSIZE, &bytes);
    const rlimit second = {1, 1};
    setrlimit(RLIMIT_CPU, &second);
  };
  TempTree tree;
  const Served file = Shell("exec head -c 10000 /dev/zero > " + tree / "file", options);
  EXPECT_EQ(file.limit, sandbox::Limit::kFileSize) << file.message;
  const Served spin = Shell("while :; do :; done", options);
  EXPECT_EQ(spin.limit, sandbox::Limit::kCpu) << spin.message;
  EXPECT_EQ(Shell("exit 1", options).limit, sandbox::Limit::kNone);
  EXPECT_EQ(Shell("kill -KILL $$", options).limit, sandbox::Limit::kNone) << "killed by itself";
}

}  // namespace
}  // namespace krux::runtime
