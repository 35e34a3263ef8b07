// SmallDisk: a file system of a few MiB under a folder, to be filled, frozen or broken by a test.
//
//   SmallDisk disk(SmallDisk::kExt4, gateway.state(), 5);
//   if (!disk.mounted()) GTEST_SKIP();              // no loop device, or not root
//   disk.Fill(); …; disk.Free();
#pragma once

#include <string>

namespace krux::tools {

class SmallDisk {
 public:
  enum Kind { kExt4, kTmpfs };
  SmallDisk(Kind kind, std::string folder, int mebibytes);
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool mounted() const { return mounted_; }
  bool Mount();
  bool Unmount();
  // fsck(8), while it is not mounted.
  bool Repair() const;
  // Takes every block that is left; Free() gives them back.
  void Fill() const;
  void Free() const;
  // mount -o remount,<option>; whether the kernel did it.
  bool Remount(const std::string& option) const;
  // The name of its block device: "loop3".
  std::string Device() const;

 private:
  Kind kind_;
  std::string folder_;
  std::string image_;
  int mebibytes_;
  bool mounted_ = false;
};

}  // namespace krux::tools
