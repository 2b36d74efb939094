const NONE: ReadonlySet<string> = new Set();

/** Which clusters have a machine in common. A machine is known by the name that it has for itself. */
export class Neighbours {
  private readonly byMachine = new Map<string, Set<string>>();
  private readonly byCluster = new Map<string, Set<string>>();

  /** A cluster has a session with a machine. */
  met(cluster: string, machine: string): void {
    const clusters = this.byMachine.get(machine) ?? new Set();
    this.byMachine.set(machine, clusters.add(cluster));
    for (const other of clusters) {
      if (other === cluster) continue;
      this.byCluster.set(cluster, (this.byCluster.get(cluster) ?? new Set()).add(other));
      this.byCluster.set(other, (this.byCluster.get(other) ?? new Set()).add(cluster));
    }
  }

  forget(cluster: string): void {
    for (const clusters of this.byMachine.values()) clusters.delete(cluster);
    for (const others of this.byCluster.values()) others.delete(cluster);
    this.byCluster.delete(cluster);
  }

  /** Those that have, or had, a machine of this cluster. */
  of(cluster: string): ReadonlySet<string> {
    return this.byCluster.get(cluster) ?? NONE;
  }
}
