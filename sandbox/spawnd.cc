#include "sandbox/spawnd.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <list>
#include <map>

#include "base/clock.h"
#include "base/injection.h"
#include "sandbox/call.h"
#include "sandbox/spawn_wire.h"
#include "sandbox/template_check.h"

namespace krux::sandbox {
namespace {

constexpr size_t kMaxCalls = 256;
constexpr size_t kMaxTemplates = 128;

class Spawnd {
 public:
  Spawnd(const SpawndFlags& flags, InnerWorld inner, WorkerEntry entry)
      : kruxd_(UniqueFd(flags.channel_fd)),
        mountd_(UniqueFd(flags.mount_fd)),
        inner_(std::move(inner)) {
    world_.inner = &inner_;
    world_.cgroups = &cgroups_;
    world_.entry = entry;
    world_.landlock_abi = std::max(LandlockAbi(), 0);
    world_.rootless = flags.rootless;
    world_.hooks = flags.hooks;
    world_.hooks.host_root_fd = inner_.host_root.get();
    if (inner_.cgroup.valid()) {
      if (Result<CgroupTree> tree = CgroupTree::Open(std::move(inner_.cgroup)))
        cgroups_ = std::move(*tree);
    }
    gid_t groups[64];
    const int count = getgroups(64, groups);
    // In spawnd's eyes a foreign group has no id of its own: it shows as the overflow id, once
    // each.
    for (int i = 0; i < count; ++i) world_.groups.push_back(groups[i]);
  }

  int Run() {
    for (;;) {
      std::vector<pollfd> fds = {{kruxd_.fd(), POLLIN, 0}, {mountd_.fd(), POLLIN, 0}};
      for (const Call& call : calls_) {
        fds.push_back({call.pidfd(), POLLIN, 0});
        fds.push_back(
            {call.stage() == Call::Stage::kConfining ? call.control_fd() : -1, POLLIN, 0});
      }
      const size_t first_builder = fds.size();
      for (const TemplateBuilder& builder : builders_) fds.push_back({builder.fd(), POLLIN, 0});
      const int ready = poll(fds.data(), fds.size(), TimeoutMs());
      if (ready < 0 && errno != EINTR) return ToInt(ExitCode::kInternal);
      if (ready < 0) continue;
      ServeCalls(fds);
      ServeBuilders(fds, first_builder);
      if (fds[1].revents != 0 && !ServeMountd()) return 0;
      if (fds[0].revents != 0 && !ServeKruxd()) return 0;
      EnforceDeadlines();
    }
  }

 private:
  struct Pending {
    wire::BuildTemplate request;
    std::string work_path;
  };

  int TimeoutMs() const {
    uint64_t nearest = UINT64_MAX;
    for (const Call& call : calls_) nearest = std::min(nearest, call.deadline_ns());
    for (const TemplateBuilder& builder : builders_)
      nearest = std::min(nearest, builder.deadline_ns());
    if (nearest == UINT64_MAX) return -1;
    const uint64_t now = SystemClock().MonotonicNs();
    return nearest <= now
               ? 0
               : static_cast<int>(std::min<uint64_t>((nearest - now) / 1'000'000 + 1, 60'000));
  }

  void EnforceDeadlines() {
    const uint64_t now = SystemClock().MonotonicNs();
    for (Call& call : calls_) {
      if (call.deadline_ns() <= now) call.Expire(now);
    }
  }

  // fds[2 + 2i] and fds[3 + 2i] belong to the i-th call. What a worker said comes before its exit.
  void ServeCalls(const std::vector<pollfd>& fds) {
    size_t i = 2;
    for (auto call = calls_.begin(); call != calls_.end(); i += 2) {
      if (fds[i + 1].revents != 0) {
        // Netlink and report may both be queued.
        for (int n = 0; n < 2; ++n) {
          if (std::optional<Event> event = call->OnControl()) Send(*event);
        }
      }
      if (fds[i].revents != 0) {
        const bool silent = call->silent();
        Event event = call->OnExit(SystemClock().MonotonicNs());
        if (!silent) Send(event);
        call = calls_.erase(call);  // answer first, tear down after
      } else {
        ++call;
      }
    }
  }

  bool ServeKruxd() {
    Result<Packet> packet = kruxd_.Receive(1);
    if (!packet) return true;
    if (packet->eof) return false;
    Result<wire::Request> request = wire::DecodeRequest(packet->bytes);
    if (!request) {
      std::fprintf(stderr, "krux-spawnd: %s\n", request.error().message.c_str());
      return true;
    }
    if (const auto* open = std::get_if<wire::OpenWork>(&*request))
      OpenWork(*open, *packet);
    else if (auto* build = std::get_if<wire::BuildTemplate>(&*request))
      AskForMounts(std::move(*build));
    else if (const auto* drop = std::get_if<wire::DropTemplates>(&*request))
      DropTemplates(*drop);
    else if (auto* spawn = std::get_if<wire::SpawnCall>(&*request))
      StartCall(std::move(spawn->spec), std::move(packet->fds));
    else if (const auto* go = std::get_if<wire::GoCall>(&*request))
      GoCall(go->call_id);
    else
      Cancel(std::get<wire::CancelCall>(*request).call_id);
    return true;
  }

  void OpenWork(const wire::OpenWork& open, Packet& packet) {
    if (packet.fds.size() != 1) {
      return SendFailed(open.tag, {},
                        Error{ExitCode::kBadData, 0, "work", "`open_work` carries no socket"});
    }
    const int fds[] = {packet.fds[0].get()};
    (void)mountd_.Send(mountwire::EncodeRequest(mountwire::OpenWork{open.tag}), fds);
  }

  void AskForMounts(wire::BuildTemplate build) {
    const auto path = work_paths_.find(build.work_id);
    if (path == work_paths_.end()) {
      return SendFailed(build.tag, {},
                        Error{ExitCode::kNotFound, 0, "template", "work directory is not open"});
    }
    mountwire::GetMounts get{build.tag, build.work_id, build.spec.work_writable,
                             build.spec.work_exec, TreesToRequest(build.spec)};
    pending_[build.tag] = Pending{std::move(build), path->second};
    (void)mountd_.Send(mountwire::EncodeRequest(get));
  }

  bool ServeMountd() {
    Result<Packet> packet = mountd_.Receive();
    if (!packet) return true;
    if (packet->eof) return false;
    Result<mountwire::Reply> reply = mountwire::DecodeReply(packet->bytes);
    if (!reply) return true;
    if (const auto* work = std::get_if<mountwire::Work>(&*reply)) {
      // Numbers only rise, so the first is the one that mountd forgot as well.
      work_paths_[work->work_id] = work->path;
      if (work_paths_.size() > mountwire::kMaxWorks) work_paths_.erase(work_paths_.begin());
      Send(WorkOpened{work->tag, work->work_id, work->path, static_cast<uid_t>(work->uid),
                      static_cast<gid_t>(work->gid), work->device, work->inode});
    } else if (const auto* mounts = std::get_if<mountwire::Mounts>(&*reply)) {
      StartBuilder(*mounts, std::move(packet->fds));
    } else if (auto* refused = std::get_if<mountwire::Refused>(&*reply)) {
      pending_.erase(refused->tag);
      SendFailed(refused->tag, {}, std::move(refused->error));
    }
    return true;
  }

  void StartBuilder(const mountwire::Mounts& mounts, std::vector<UniqueFd> fds) {
    const auto pending = pending_.find(mounts.tag);
    if (pending == pending_.end()) return;
    const Pending build = std::move(pending->second);
    pending_.erase(pending);
    Result<TemplateBuilder> builder = TemplateBuilder::Start(
        build.request.spec, build.work_path, mounts, std::move(fds), world_.rootless);
    if (!builder) return SendFailed(mounts.tag, {}, std::move(builder.error()));
    builders_.push_back(std::move(*builder));
  }

  void ServeBuilders(const std::vector<pollfd>& fds, size_t first) {
    const uint64_t now = SystemClock().MonotonicNs();
    for (auto builder = builders_.begin(); builder != builders_.end(); ++first) {
      if (fds[first].revents == 0 && builder->deadline_ns() > now) {
        ++builder;
        continue;
      }
      Result<Template> made = builder->Finish(inner_.proc.get());
      const uint64_t tag = builder->tag();
      builder = builders_.erase(builder);
      if (made) {
        KeepTemplate(tag, std::move(*made));
      } else {
        SendFailed(tag, {}, std::move(made.error()));
      }
    }
  }

  void KeepTemplate(uint64_t tag, Template made) {
    const Result<void> checked = CheckTemplateMounts(made.spec, made.work_path, made.mounts);
    if (!checked && !world_.hooks.ignore_receipt) return SendFailed(tag, {}, checked.error());
    std::erase_if(templates_, [&](const Template& t) {
      return t.spec.session_id == made.spec.session_id &&
             t.spec.work_class == made.spec.work_class && t.spec.generation == made.spec.generation;
    });
    if (templates_.size() >= kMaxTemplates) templates_.pop_front();
    const std::string idmap = made.idmap;
    templates_.push_back(std::move(made));
    Send(TemplateBuilt{tag, idmap});
  }

  void DropTemplates(const wire::DropTemplates& drop) {
    std::erase_if(templates_, [&](const Template& t) {
      return t.spec.session_id == drop.session_id && t.spec.generation <= drop.generation;
    });
  }

  void StartCall(Spec spec, std::vector<UniqueFd> fds) {
    const cbor::Bytes id = spec.call_id;
    if (calls_.size() >= kMaxCalls || FindCall(id) != nullptr) {
      return SendFailed(0, id, Error{ExitCode::kBusy, 0, "spawn", "too many calls at once; retry"});
    }
    const auto found = std::find_if(templates_.begin(), templates_.end(), [&](const Template& t) {
      return t.spec.session_id == spec.session_id && t.spec.generation == spec.generation &&
             t.spec.work_class == spec.work_class;
    });
    if (found == templates_.end()) {
      return SendFailed(
          0, id,
          Error{ExitCode::kSandbox, 0, "mount", "the session has no template of this class"});
    }
    Result<Call> call =
        Call::Start(world_, *found, std::move(spec), std::move(fds), ++call_number_);
    if (!call) return SendFailed(0, id, std::move(call.error()));
    calls_.push_back(std::move(*call));
  }

  void GoCall(const cbor::Bytes& id) {
    Call* call = FindCall(id);
    if (call != nullptr) (void)call->Go(SystemClock().MonotonicNs());
  }

  void Cancel(const cbor::Bytes& id) {
    if (Call* call = FindCall(id)) call->Kill(Done::End::kCancelled);
  }

  Call* FindCall(const cbor::Bytes& id) {
    for (Call& call : calls_) {
      if (call.id() == id) return &call;
    }
    return nullptr;
  }

  void SendFailed(uint64_t tag, const cbor::Bytes& call_id, Error error) {
    const std::string layer = LayerFromName(error.stage) ? error.stage : "";
    Send(Failed{tag, call_id, std::move(error), layer, {}});
  }

  void Send(const Event& event) {
    int fd = -1;
    if (const auto* ready = std::get_if<Ready>(&event)) fd = ready->pidfd.get();
    if (const auto* done = std::get_if<Done>(&event)) fd = done->result.get();
    const std::span<const int> fds =
        fd >= 0 ? std::span<const int>(&fd, 1) : std::span<const int>();
    (void)kruxd_.Send(wire::EncodeEvent(event),
                      fds);  // kruxd gone: its end of file ends this process
  }

  Channel kruxd_;
  Channel mountd_;
  InnerWorld inner_;
  CgroupTree cgroups_;
  CallWorld world_;
  std::map<uint64_t, std::string> work_paths_;
  std::map<uint64_t, Pending> pending_;
  std::list<TemplateBuilder> builders_;
  std::list<Template> templates_;
  std::list<Call> calls_;
  uint64_t call_number_ = 0;
};

}  // namespace

int RunSpawnd(int argc, char** argv, WorkerEntry entry) {
  const SpawndFlags flags = ParseSpawndFlags(argc, argv);
  if (flags.channel_fd < 0 || flags.mount_fd < 0) {
    std::fputs("krux-spawnd: started by `krux gateway`, not by hand\n", stderr);
    return ToInt(ExitCode::kUsage);
  }
  if (!flags.inner) return RunOuter(flags, argv);
  const auto fail = [](const Error& error) {
    std::fprintf(stderr, "krux-spawnd: %s\n", error.message.c_str());
    return ToInt(ExitCode::kSandbox);
  };
  injection::TakeFlags(&argc, argv);
  Result<InnerWorld> inner = EnterInner(flags);
  if (!inner) return fail(inner.error());
  if (const Result<void> confined = ConfineInner(flags, *inner); !confined)
    return fail(confined.error());
  injection::Run();
  return Spawnd(flags, std::move(*inner), entry).Run();
}

}  // namespace krux::sandbox
