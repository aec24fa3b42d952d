// What a container grants, read from control groups of both versions as the kernel lays them out.
#include "core/machine.h"

#include <fmt/format.h>

#include "tests/support/files.h"

using namespace folio;
using folio::test::ScratchFolder;

namespace {

class System : public ScratchFolder {
 public:
  System() { put("proc/meminfo", "MemTotal:       16384000 kB\nMemFree:  1 kB\nMemAvailable:    8192000 kB\n"); }
  void put(std::string const& name, std::string const& content) const {
    make_folders((*this / name).parent_path());
    write_file(*this / name, content);
  }
};

}  // namespace

TEST(Machine, WithoutAContainerHasNoLimits) {
  System const system;
  Machine const m = look_at_machine(system.path());
  EXPECT_GE(m.usable_cores, 1);
  EXPECT_LE(m.usable_cores, m.cores);
  EXPECT_EQ(m.memory, uint64_t{16384000} * 1024);
  EXPECT_EQ(m.free_memory, uint64_t{8192000} * 1024);
  EXPECT_FALSE(m.core_quota.has_value());
  EXPECT_FALSE(m.memory_limit.has_value());
}

TEST(Machine, TheTightestLimitOfNestedGroupsCounts) {
  System const system;
  system.put("proc/self/cgroup", "0::/box/inner\n");
  system.put("sys/fs/cgroup/box/cpu.max", "150000 100000\n");
  system.put("sys/fs/cgroup/box/inner/cpu.max", "max 100000\n");
  system.put("sys/fs/cgroup/box/memory.max", "2147483648\n");
  system.put("sys/fs/cgroup/box/memory.current", "1048576\n");
  system.put("sys/fs/cgroup/box/inner/memory.max", "4294967296\n");
  Machine const m = look_at_machine(system.path());
  ASSERT_TRUE(m.core_quota.has_value());
  EXPECT_EQ(*m.core_quota, 1.5);
  EXPECT_EQ(m.memory_limit, uint64_t{2} << 30);
  EXPECT_EQ(m.memory_in_limit, uint64_t{1} << 20);
}

TEST(Machine, AContainersOwnRootIsItsGroup) {
  System const system;
  system.put("proc/self/cgroup", "0::/\n");
  system.put("sys/fs/cgroup/cpu.max", "200000 100000\n");
  EXPECT_EQ(look_at_machine(system.path()).core_quota, 2.0);
}

TEST(Machine, VersionOneAndNoLimitInIt) {
  System const system;
  system.put("proc/self/cgroup", "5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n");
  system.put("sys/fs/cgroup/cpu/docker/x/cpu.cfs_quota_us", "50000\n");
  system.put("sys/fs/cgroup/cpu/docker/x/cpu.cfs_period_us", "100000\n");
  system.put("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  system.put("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  system.put("sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "9223372036854771712\n");  // none
  Machine const m = look_at_machine(system.path());
  EXPECT_EQ(m.core_quota, 0.5);
  EXPECT_FALSE(m.memory_limit.has_value());
}

TEST(Machine, GrantsTheQuotaInWholeCoresAndAtLeastOne) {
  Machine m;
  m.usable_cores = 8;
  EXPECT_EQ(m.granted_cores(), 8);
  for (auto const& [quota, cores] : {std::pair{0.2, 1}, {1.0, 1}, {1.4, 1}, {1.5, 2}, {2.4, 2}, {7.6, 8}, {64.0, 8}}) {
    m.core_quota = quota;
    EXPECT_EQ(m.granted_cores(), cores) << quota;
  }
}

TEST(Machine, AvailableMemoryIsTheLeastOfTheSystemsAndOfEveryGroups) {
  System const system;
  EXPECT_EQ(look_at_machine(system.path()).available_memory, uint64_t{8192000} * 1024);
  system.put("proc/self/cgroup", "0::/box/inner\n");
  system.put("sys/fs/cgroup/box/inner/memory.max", "2000000000\n");  // the tightest limit
  system.put("sys/fs/cgroup/box/inner/memory.current", "500000000\n");
  system.put("sys/fs/cgroup/box/memory.max", "4000000000\n");  // the least left
  system.put("sys/fs/cgroup/box/memory.current", "3600000000\n");
  system.put("sys/fs/cgroup/box/memory.stat",
             "anon 1\nfile 300000000\ninactive_file 150000000\nactive_file 50000000\n");
  Machine const m = look_at_machine(system.path());
  EXPECT_EQ(m.available_memory, 600000000u);  // cached files are given back
  EXPECT_EQ(m.memory_limit, 2000000000u);
  system.put("sys/fs/cgroup/box/memory.current", "5000000000\n");  // beyond the limit already
  EXPECT_EQ(look_at_machine(system.path()).available_memory, 0u);
}

TEST(Machine, AvailableMemoryOfVersionOne) {
  System const system;
  system.put("proc/self/cgroup", "5:memory:/docker/x\n");
  system.put("sys/fs/cgroup/memory/memory.limit_in_bytes", "1000000000\n");  // the container sees its group as the root
  system.put("sys/fs/cgroup/memory/memory.usage_in_bytes", "300000000\n");
  system.put("sys/fs/cgroup/memory/memory.stat",
             "inactive_file 7\ntotal_inactive_file 100000000\ntotal_active_file 0\n");
  EXPECT_EQ(look_at_machine(system.path()).available_memory, 800000000u);
}

TEST(Machine, AvailableMemoryMindsTheProcessOwnLimitsAndItsThreadsToCome) {
  System const system;
  auto const limits = [&](char const* data, char const* addresses) {
    system.put("proc/self/limits",
               fmt::format("Limit                     Soft Limit           Hard Limit           Units     \n"
                           "Max data size             {:<20} unlimited            bytes     \n"
                           "Max stack size            1048576              unlimited            bytes     \n"
                           "Max address space         {:<20} unlimited            bytes     \n",
                           data, addresses));
  };
  uint64_t const cores = uint64_t(look_at_machine(system.path()).granted_cores()), mib = uint64_t{1} << 20;
  auto const status = [&](uint64_t threads) {
    system.put("proc/self/status",
               fmt::format("Name:\tfolio\nVmSize:\t  102400 kB\nVmData:\t   20480 kB\nThreads:\t{}\n", threads));
  };
  status(cores + 1);  // all are there
  limits("unlimited", "unlimited");
  EXPECT_EQ(look_at_machine(system.path()).available_memory, uint64_t{8192000} * 1024);
  limits("1073741824", "unlimited");
  Machine const m = look_at_machine(system.path());
  EXPECT_EQ(m.available_memory, 1024 * mib - 20 * mib);
  EXPECT_EQ(m.available_by, "left of the process' limit of 1.0 GiB (ulimit -d)");
  EXPECT_FALSE(m.memory_limit.has_value()) << "no container's";
  limits("unlimited", "1073741824");
  EXPECT_EQ(look_at_machine(system.path()).available_memory, 1024 * mib - 100 * mib);
  status(1);  // each that is to come takes a stack
  EXPECT_EQ(look_at_machine(system.path()).available_memory, 1024 * mib - 100 * mib - cores * mib);
}

TEST(Machine, AvailableMemoryStopsWhereASystemWouldHoldBackAndAtLimitsThatAreNotSeen) {
  System const system;
  system.put("proc/self/cgroup", "0::/box\n");
  system.put("sys/fs/cgroup/box/memory.max", "2000000000\n");
  system.put("sys/fs/cgroup/box/memory.high", "1500000000\n");
  system.put("sys/fs/cgroup/box/memory.current", "500000000\n");
  Machine const m = look_at_machine(system.path());
  EXPECT_EQ(m.available_memory, 1000000000u);
  EXPECT_EQ(m.available_by, "left of a container's limit of 1.4 GiB");
  System const old;
  old.put("proc/self/cgroup", "5:memory:/inner\n");
  old.put("sys/fs/cgroup/memory/inner/memory.limit_in_bytes", "9223372036854771712\n");
  old.put("sys/fs/cgroup/memory/inner/memory.usage_in_bytes", "100000000\n");
  old.put("sys/fs/cgroup/memory/inner/memory.stat", "hierarchical_memory_limit 700000000\n");  // of a group above
  EXPECT_EQ(look_at_machine(old.path()).available_memory, 600000000u);
}
