/** Kinds of documents that are read, those of a transit first, in the order of its way. */
export const KINDS = [
  'cc015c', 'cc013c', 'cc014c', 'cc028c', 'cc029c', 'cc051c', 'cc055c', 'cc060c', 'cc170c', 'cc182c', 'cc007c', 'cc025c', 'cc043c', 'cc044c', 'cc045c',
  'cc140c', 'cc141c', 'wco-declaration', 'asycuda-sad', 'cuscar', 'codeco', 'coprar', 'iftsta', 'baplie', 'manifest-csv', 'manifest-xlsx',
] as const;
