#include "sandbox/template_check.h"

#include <algorithm>
#include <iterator>

#include "base/cutter.h"
#include "base/path.h"
#include "sandbox/template.h"

namespace krux::sandbox {
namespace {

bool Below(const std::string& path, const std::string& top) {
  return krux_path_within(top.data(), top.size(), path.data(), path.size());
}

std::string FirstMissing(const std::string& options, const std::vector<std::string>& wanted) {
  for (const std::string& word : wanted) {
    if (("," + options + ",").find("," + word + ",") == std::string::npos) return word;
  }
  return "";
}

// A mount may be more than one of these (a WORK inside a program tree): one that fits is enough,
// each is safe by itself.
std::vector<std::vector<std::string>> Allowed(const TemplateSpec& spec, const std::string& work,
                                              const std::string& point, const std::string& type,
                                              bool mask) {
  std::vector<std::vector<std::string>> allowed;
  if (mask) return {{"nosuid", "nodev", "noexec", "ro"}};
  if (Below(point, work)) {
    std::vector<std::string> wanted = {"nosuid", "nodev"};
    if (!spec.work_writable) wanted.emplace_back("ro");
    if (!spec.work_exec) wanted.emplace_back("noexec");
    allowed.push_back(std::move(wanted));
  }
  if (std::find(std::begin(kDeviceNodes), std::end(kDeviceNodes), point) != std::end(kDeviceNodes))
    allowed.push_back({"nosuid", "noexec", "ro"});
  for (const std::string& tree : spec.program_trees) {
    if (Below(point, tree)) allowed.push_back({"nosuid", "nodev", "ro"});
  }
  if (point == "/proc" && type == "proc") allowed.push_back({"nosuid", "nodev", "noexec"});
  if (allowed.empty()) allowed.push_back({"nosuid", "nodev", "noexec", "ro"});
  return allowed;
}

}  // namespace

Result<void> CheckTemplateMounts(const TemplateSpec& spec, const std::string& work_path,
                                 const std::vector<std::string>& mounts, uint64_t masks) {
  uint64_t found = 0;
  const std::string work = AsInMountinfo(work_path);
  bool has_work = false;
  for (const std::string& mount : mounts) {
    Cutter fields(mount);
    const std::string point(fields.Word()), type(fields.Word()), options(fields.Word());
    has_work = has_work || point == work;
    std::string missing;
    const bool mask = IsMaskLine(mount, work_path);
    if (mask) ++found;
    for (const std::vector<std::string>& wanted : Allowed(spec, work, point, type, mask)) {
      missing = FirstMissing(options, wanted);
      if (missing.empty()) break;
    }
    if (!missing.empty()) {
      return Fail(
          ExitCode::kSandbox, "mount",
          "mount: `" + point + "` is not `" + missing + "` but `" + options + "`; nothing ran");
    }
  }
  if (!has_work)
    return Fail(ExitCode::kSandbox, "mount", "mount: the work directory is not in the template");
  if (found != masks) {
    return Fail(ExitCode::kSandbox, "mount",
                "mount: " + std::to_string(masks) + " secrets were to be hidden and " +
                    std::to_string(found) + " are; nothing ran");
  }
  return {};
}

bool IsMaskLine(const std::string& mount, const std::string& work_path) {
  Cutter fields(mount);
  const std::string point(fields.Word()), type(fields.Word());
  fields.Word();  // options
  const std::string_view root = fields.Word();
  return type == "tmpfs" && (root == kMaskFile || root == kMaskDirectory) &&
         Below(point, AsInMountinfo(work_path));
}

}  // namespace krux::sandbox
