// krux doctor --jail as its user sees it: what it says where everything is contained, where
// something is not, and where the programs are not there.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/tools/krux_process.h"
#include "tools/json.h"

namespace krux::tools {
namespace {

namespace fs = std::filesystem;

// krux's programs in a folder of the test's own, which anybody may read.
class Copy {
 public:
  Copy() {
    char name[] = "/tmp/krux-jail-XXXXXX";
    root_ = mkdtemp(name);
    chmod(root_.c_str(), 0755);
    const fs::path from = fs::path(KruxProgram()).parent_path();
    for (const auto& entry : fs::directory_iterator(from)) {
      const std::string file = entry.path().filename();
      if (file == "krux" || file == "kruxd" || file.starts_with("krux-"))
        fs::copy_file(entry.path(), root_ + "/" + file);
    }
    fs::copy(from / "escape", root_ + "/escape");
    fs::create_directory(root_ + "/tmp");
    chmod((root_ + "/tmp").c_str(), 01777);
  }
  ~Copy() {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }
  std::string Path(const std::string& name) const { return root_ + "/" + name; }
  void Replace(const std::string& program, const std::string& script) const {
    WriteFile(Path("escape/" + program), "#!/bin/sh\n" + script + "\n");
    chmod(Path("escape/" + program).c_str(), 0755);
  }
  Ran Jail(std::vector<std::string> words = {}, RunOptions options = {}) const {
    words.insert(words.begin(), {Path("krux"), "doctor", "--jail"});
    options.environment = {"HOME=/nonexistent", "TMPDIR=" + Path("tmp")};
    Ran ran = RunProgram(words, options);
    EXPECT_TRUE(fs::is_empty(Path("tmp"))) << "something was left behind";
    return ran;
  }

 private:
  std::string root_;
};

TEST(DoctorJail, EveryProgramIsContainedHere) {
  const Copy copy;
  const Ran ran = copy.Jail({"-o", "json"});
  EXPECT_EQ(ran.exit, 0) << ran.out << ran.err;
  const cbor::Value answer = ParseJson(ran.out).value();
  EXPECT_EQ(*answer.map()->Find("whole"), cbor::Value(true));
  const cbor::Array& programs = *answer.map()->Find("programs")->array();
  EXPECT_GE(programs.size(), 40u);
  for (const cbor::Value& program : programs)
    EXPECT_EQ(*program.map()->Find("verdict")->text(), "contained") << cbor::Diagnostic(program);
  // What this machine lacks is said, not hidden behind the good news.
  EXPECT_EQ(ran.err.find("cgroup") != std::string::npos, !NeedsDegraded().empty()) << ran.err;
}

TEST(DoctorJail, ForAnOrdinaryUserToo) {
  if (geteuid() != 0) return;  // then the test above is this one
  const Copy copy;
  const Ran ran = copy.Jail({}, {.uid = 61236});
  EXPECT_EQ(ran.exit, 0) << ran.out << ran.err;
}

// A program that crashes, or could not even try, has shown nothing; that is not containment.
TEST(DoctorJail, AProgramThatGetsOutOrDoesNotSayIs71AndNamed) {
  const Copy copy;
  copy.Replace("escape_read_outside", "echo 'ESCAPED: read everything'");
  copy.Replace("escape_dotdot", "exit 0");
  copy.Replace("escape_keyring", "echo 'BROKEN: no memory'; exit 2");
  const Ran ran = copy.Jail();
  EXPECT_EQ(ran.exit, 71) << ran.err;
  EXPECT_NE(ran.out.find("NOT CONTAINED  read_outside"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("read everything"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("not shown      dotdot"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("not shown      keyring"), std::string::npos) << ran.out;
}

TEST(DoctorJail, WithoutThePrograms66) {
  const Copy copy;
  fs::remove_all(copy.Path("escape"));
  const Ran ran = copy.Jail();
  EXPECT_EQ(ran.exit, 66);
  EXPECT_EQ(ran.out, "");
  EXPECT_NE(ran.err.find("are not in `" + copy.Path("escape") + "`; nothing was tried"),
            std::string::npos)
      << ran.err;
}

TEST(DoctorJail, KruxLibexecDirNamesThem) {
  const Ran ran = RunProgram({KruxProgram(), "doctor", "--jail"},
                             {.environment = {"HOME=/nonexistent", "KRUX_LIBEXEC_DIR=/nowhere"}});
  EXPECT_EQ(ran.exit, 66);
  EXPECT_NE(ran.err.find("/nowhere/escape"), std::string::npos) << ran.err;
}

}  // namespace
}  // namespace krux::tools
