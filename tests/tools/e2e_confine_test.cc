// The daemons of a living gateway, as the kernel shows them: each below its own filter, without new
// privileges, with no capability but the listed ones, and krux-spawnd small.

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "tests/tools/krux_process.h"

namespace krux::tools {
namespace {

constexpr uid_t kSomebody = 61235;
constexpr int kSpawndKib = 1024;

using Status = std::map<std::string, std::string>;

Status StatusOf(pid_t pid) {
  Status status;
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(':');
    const size_t begin = line.find_first_not_of(" \t", colon + 1);
    status[line.substr(0, colon)] = begin == std::string::npos ? "" : line.substr(begin);
  }
  return status;
}

// krux-spawnd is two processes: the first waits, the second works.
pid_t InnerSpawnd(pid_t outer) {
  pid_t inner = 0;
  const std::string pid = std::to_string(outer);
  std::ifstream("/proc/" + pid + "/task/" + pid + "/children") >> inner;
  return inner;
}

constexpr const char* kNone = "0000000000000000";

void ExpectConfined(const PrivateGateway& gateway, bool root) {
  const pid_t outer = gateway.Daemon("krux-spawnd");
  const struct {
    const char* name;
    pid_t pid;
    const char* no_new_privs;
    const char* capabilities;
  } rows[] = {
      {"kruxd", gateway.Kruxd(), "1", kNone},
      {"krux-auditd", gateway.Daemon("krux-auditd"), "1", kNone},
      {"krux-spawnd, which waits", outer, "1", kNone},
      // DAC_READ_SEARCH SETGID SETUID SYS_CHROOT SYS_PTRACE SYS_ADMIN SETFCAP of its own namespace.
      {"krux-spawnd, which works", InnerSpawnd(outer), "0", "00000000802c00c4"},
      // DAC_READ_SEARCH SETGID SETUID SYS_ADMIN SETFCAP; rootless SYS_ADMIN of spawnd's namespace.
      {"krux-mountd", gateway.Daemon("krux-mountd"), "1",
       root ? "00000000802000c4" : "0000000000200000"}};
  for (const auto& row : rows) {
    ASSERT_GT(row.pid, 0) << row.name;
    Status status = StatusOf(row.pid);
    EXPECT_EQ(status["Seccomp"], "2") << row.name;
    EXPECT_EQ(status["Seccomp_filters"], "1") << row.name;
    EXPECT_EQ(status["NoNewPrivs"], row.no_new_privs) << row.name;
    EXPECT_EQ(status["CapEff"], row.capabilities) << row.name;
    EXPECT_EQ(status["CapPrm"], row.capabilities) << row.name;
    EXPECT_EQ(status["CapInh"], kNone) << row.name;
    EXPECT_EQ(status["CapAmb"], kNone) << row.name;
    const std::string ids = status["Uid"];
    const bool host_root = ids.starts_with("0\t");
    EXPECT_EQ(host_root, root && row.pid == gateway.Daemon("krux-mountd"))
        << row.name << " " << ids;
  }
}

void ExpectSmall(const PrivateGateway& gateway, int calls) {
  for (int i = 0; i < calls; ++i) ASSERT_EQ(gateway.Krux({"call", "fs.read", "file"}).exit, 0);
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(gateway.Krux({"call", "--profile", "local_dev", "proc.exec", "--", "true"}).exit, 0);
  }
  const pid_t outer = gateway.Daemon("krux-spawnd");
  for (const pid_t pid : {outer, InnerSpawnd(outer)}) {
    Status status = StatusOf(pid);
    EXPECT_LE(std::atoi(status["VmRSS"].c_str()), kSpawndKib)
        << status["RssAnon"] << " of its own, " << status["RssFile"] << " of its program";
    ::testing::Test::RecordProperty("VmRSS", status["VmRSS"]);
  }
}

TEST(Confined, EveryDaemonAndSpawndIsSmallAfterAHundredCalls) {
  if (geteuid() != 0) return;
  const PrivateGateway gateway;
  WriteFile(gateway.Path("file"), "content");
  ASSERT_EQ(gateway.Start({"--keep"}).exit, 0);
  ExpectConfined(gateway, true);
  ExpectSmall(gateway, 100);
}

TEST(Confined, EveryDaemonOfAnOrdinaryUserToo) {
  if (geteuid() != 0) return;
  const std::string programs = "/tmp/krux-confined-" + std::to_string(getpid());
  std::filesystem::create_directory(programs);
  chmod(programs.c_str(), 0755);
  const std::filesystem::path built = std::filesystem::path(KruxProgram()).parent_path();
  for (const char* name : {"krux", "kruxd", "krux-auditd", "krux-mountd", "krux-spawnd"})
    std::filesystem::copy_file(built / name, programs + "/" + name);
  {
    const PrivateGateway gateway(kSomebody, programs + "/krux");
    WriteFile(gateway.Path("file"), "content");
    chmod(gateway.Path("file").c_str(), 0644);
    ASSERT_EQ(gateway.Start({"--keep"}).exit, 0);
    ExpectConfined(gateway, false);
    ExpectSmall(gateway, 10);
  }
  std::error_code ignored;
  std::filesystem::remove_all(programs, ignored);
}

}  // namespace
}  // namespace krux::tools
