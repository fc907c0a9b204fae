/** The audit log's chain, checked without the database that wrote it. chain.ts */
export { type AuditEntry, type AuditFault, type AuditHead, type ChainReport, verifyChain } from './chain.ts';
