// krux-spawnd: the sandbox's daemon with the worker's entry. The sandbox knows no capability names,
// so the two meet here and nowhere else.

#include "runtime/worker/secret_watch.h"
#include "runtime/worker/serve.h"
#include "sandbox/spawnd.h"

int main(int argc, char** argv) {
  return krux::sandbox::RunSpawnd(argc, argv, {krux::runtime::Serve, krux::runtime::WatchSecrets});
}
