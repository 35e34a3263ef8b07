// The list of `krux doctor --jail` and the programs of this folder are one set: what is added here
// is shown there, or stands below with the reason why not.

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/escape/cases.h"
#include "tools/jail_programs.h"

namespace krux::sandbox {
namespace {

const std::map<std::string, std::string> kNotForDoctor = {
    {"fork_bomb", "the limit that ends it is an operator's, and doctor must not load the machine"},
    {"memory_hog", "the same"},
    {"moved_directory", "needs somebody on the host who moves a directory all the while"},
    {"gain_by_exec", "its bait takes root to lay"},
    {"read_foreign", "its bait takes root to lay"},
    {"use_device_in_grant", "its bait takes root to lay"},
    {"write_fifo_in_grant", "needs a WORK granted for reading, which the profile does not have"},
    {"write_readonly", "needs a WORK granted for reading, which the profile does not have"},
};

TEST(JailList, HoldsEveryProgramThatDoctorCanRun) {
  std::set<std::string> listed, known;
  for (const tools::JailProgram& program : tools::JailPrograms())
    EXPECT_TRUE(listed.insert(program.name).second) << program.name << " stands there twice";
  for (const EscapeCase& row : EscapeCases()) {
    known.insert(row.program);
    const bool excused = kNotForDoctor.contains(row.program);
    EXPECT_NE(listed.contains(row.program), excused) << row.program;
  }
  for (const std::string& program : listed) EXPECT_TRUE(known.contains(program)) << program;
  for (const auto& [program, why] : kNotForDoctor) EXPECT_TRUE(known.contains(program)) << program;
}

}  // namespace
}  // namespace krux::sandbox
